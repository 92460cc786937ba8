"""The ``hand-pose`` command, one small file per verb."""
