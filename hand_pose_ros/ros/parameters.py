"""Node parameters: each declared once in a table with type, default, description and limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from hand_pose_ros.errors import HandPoseError

Value = bool | int | float | str

# Parameters that rclpy itself declares or takes.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class ParameterError(HandPoseError):
    """A parameter that does not exist or a value it cannot have."""


@dataclass(frozen=True, kw_only=True)
class NodeParameter:
    """One parameter of a node.

    Attributes:
        name: as in ``ros2 param``.
        default: value when nothing is given; its type is the parameter's type.
        description: one sentence, with the unit.
        minimum, maximum: limits of a number, both or none.
        choices: allowed texts; empty allows any.
        read_only: whether it is fixed at the start of the node.
    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] = ()
    read_only: bool = True

    @property
    def limits(self) -> str:
        """The constraint in words, empty without one."""
        if self.choices:
            return 'one of ' + ', '.join(repr(choice) for choice in self.choices)
        if self.minimum is not None:
            return f'{self.minimum:g} to {self.maximum:g}'
        return ''

    def descriptor(self) -> ParameterDescriptor:
        """Return the description that ``ros2 param describe`` shows."""
        descriptor = ParameterDescriptor(
            name=self.name,
            description=self.description,
            read_only=self.read_only,
            additional_constraints=self.limits,
        )
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, int):
                low, high = int(self.minimum), int(self.maximum)
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
            else:
                low_high = FloatingPointRange(from_value=self.minimum, to_value=self.maximum)
                descriptor.floating_point_range = [low_high]
        return descriptor


def declare(node: Node, table: Iterable[NodeParameter]) -> None:
    """Declare all parameters of a table and refuse bad values, now and later.

    Raises:
        ParameterError: a value given at the start does not fit, or a name does not exist.
    """
    known = {parameter.name: parameter for parameter in table}

    def check(changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            parameter = known.get(change.name)
            if parameter and parameter.choices and change.value not in parameter.choices:
                reason = f'{change.name} must be {parameter.limits}, got {change.value!r}'
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)
    for parameter in known.values():
        try:
            node.declare_parameter(parameter.name, parameter.default, parameter.descriptor())
        except (InvalidParameterValueException, InvalidParameterTypeException) as error:
            raise ParameterError(
                f'parameter {parameter.name} of {node.get_name()} takes a '
                f'{type(parameter.default).__name__}'
                f'{", " + parameter.limits if parameter.limits else ""}: {error}'
            ) from None
    _refuse_unknown(node, known)


def value_of(node: Node, name: str) -> Value:
    """Return the present value of a declared parameter."""
    value: Value = node.get_parameter(name).value
    return value


def parameter_table(table: Iterable[NodeParameter]) -> str:
    """Return a table of parameters in Markdown, as the documentation holds it."""
    lines = ['| parameter | default | limits | changes while running | meaning |',
             '| --- | --- | --- | --- | --- |']  # fmt: skip
    for parameter in table:
        default = str(parameter.default).lower() if isinstance(parameter.default, bool) else (
            repr(parameter.default))  # fmt: skip
        limits = parameter.limits.replace("'", '`') or '-'
        changes = 'no' if parameter.read_only else 'yes'
        lines.append(
            f'| `{parameter.name}` | `{default}` | {limits} | {changes} | {parameter.description} |'
        )
    return '\n'.join(lines) + '\n'


def _refuse_unknown(node: Node, known: dict[str, NodeParameter]) -> None:
    # rclpy ignores what is given but never declared, which hides typing errors.
    given = getattr(node, '_parameter_overrides', {})
    for name in given:
        if name not in known and not name.startswith(_OF_RCLPY):
            raise ParameterError(
                f'{node.get_name()} has no parameter {name!r}, use one of {", ".join(known)}'
            )
