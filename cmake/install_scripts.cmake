# Installs Python scripts that start with the interpreter of this build, so that they work without
# an activated virtual environment.
function(install_scripts destination)
  # The kernel ends the interpreter line at a space and after 127 characters: let sh start Python.
  set(_first_line "#!${Python3_EXECUTABLE}")
  string(LENGTH "${_first_line}" _length)
  if(_first_line MATCHES " " OR _length GREATER 127)
    set(_first_line "#!/bin/sh\n''':'\nexec '${Python3_EXECUTABLE}' \"$0\" \"$@\"\n'''")
  endif()
  foreach(_script IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_script}")
    get_filename_component(_name "${_script}" NAME)
    file(READ "${_script}" _text)
    string(REGEX REPLACE "^#![^\n]*" "" _text "${_text}")
    set(_copy "${CMAKE_CURRENT_BINARY_DIR}/scripts/${_name}")
    file(WRITE "${_copy}" "${_first_line}${_text}")
    file(CHMOD "${_copy}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
      WORLD_READ WORLD_EXECUTE)
    install(PROGRAMS "${_copy}" DESTINATION ${destination})
  endforeach()
endfunction()
