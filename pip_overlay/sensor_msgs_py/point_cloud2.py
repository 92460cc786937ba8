"""Between ``sensor_msgs/PointCloud2`` and numpy arrays."""

import array
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_DATATYPES: dict[int, np.dtype] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured dtype of one point.

    A field of several values becomes the columns ``name_0``, ``name_1``, ...; a field without name
    becomes ``unnamed_field_<number>``.

    Args:
        fields: the fields of the cloud.
        point_step: bytes of one point; the end of the last field by default.
    """
    names: list[str] = []
    offsets: list[int] = []
    formats: list[np.dtype] = []
    for index, field in enumerate(fields):
        base = _DATATYPES[field.datatype]
        name = field.name or f'unnamed_field_{index}'
        for part in range(field.count):
            names.append(f'{name}_{part}' if field.count > 1 else name)
            offsets.append(field.offset + part * base.itemsize)
            formats.append(base)
    layout: Any = {'names': names, 'formats': formats, 'offsets': offsets}
    if point_step is not None:
        layout['itemsize'] = point_step
    return np.dtype(layout)


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points as a structured array, one column per field.

    Args:
        cloud: the message.
        field_names: the fields wanted, in the order of the message; all by default.
        skip_nans: leave out points with a NaN in a wanted field.
        uvs: indices of the points wanted; all by default.
        reshape_organized_cloud: return (width, height) instead of (points,) for an organised cloud.
    """
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if cloud.is_bigendian != (sys.byteorder == 'big'):
        dtype = dtype.newbyteorder()
    rows = np.ndarray(
        shape=(cloud.height, cloud.width),
        dtype=dtype,
        buffer=cloud.data if cloud.width * cloud.height else None,
        strides=(cloud.row_step, cloud.point_step),
    )
    points = rows.reshape(-1)
    if field_names is not None:
        missing = set(field_names) - set(dtype.names or ())
        if missing:
            raise AssertionError(f'the cloud has no field {sorted(missing)}; it has {dtype.names}.')
        points = points[[name for name in dtype.names or () if name in set(field_names)]]
    if dtype.isnative is False:
        points = points.astype(points.dtype.newbyteorder('='))
    if skip_nans:
        points = points[~_has_nan(points)]
    if uvs is not None:
        points = points[np.asarray(list(uvs), dtype=int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points as an ordinary array (points, fields); the fields must share one type.

    The arguments are those of ``read_points``.
    """
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    kinds = {points.dtype[name] for name in points.dtype.names or ()}
    if len(kinds) > 1:
        raise AssertionError(f'fields of different types cannot form one array: {points.dtype}.')
    return structured_to_unstructured(points)


def create_cloud(
    header: Header,
    fields: Iterable[PointField],
    points: Iterable,
    point_step: int | None = None,
) -> PointCloud2:
    """Return a message from points.

    Args:
        header: header of the message.
        fields: what the values of a point are.
        points: (points, values) or, organised, (width, height, values); or a structured array with
            the columns of the fields, (points,) or (width, height).
        point_step: bytes of one point; by default those of a structured array's element, else the
            end of the last field.
    """
    fields = list(fields)
    values = points if isinstance(points, np.ndarray) else np.array(list(points))
    if values.dtype.names is not None and point_step is None:
        point_step = values.dtype.itemsize
    dtype = dtype_from_fields(fields, point_step)
    if values.dtype.names is None:
        columns = len(dtype.names or ())
        if values.size == 0:
            values = values.reshape(0, columns)
        if values.shape[-1] != columns:
            raise ValueError(f'points of shape {values.shape} do not have {columns} values each.')
        values = unstructured_to_structured(values, dtype=dtype)
    elif values.dtype != dtype:
        raise AssertionError(f'points of {values.dtype} do not have the layout {dtype}.')
    if values.ndim > 2:
        raise ValueError(f'a cloud has at most two dimensions, got points of shape {values.shape}.')
    width, height = values.shape if values.ndim == 2 else (values.shape[0], 1)
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).tobytes())
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        is_dense=False,
        is_bigendian=sys.byteorder == 'big',
        fields=fields,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
        data=data,
    )


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Return a message with float32 x, y, z from points (points, 3) or (width, height, 3)."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate('xyz')
    ]
    return create_cloud(header, fields, points)


def _has_nan(points: np.ndarray) -> np.ndarray:
    columns = [points[name] for name in points.dtype.names or ()]
    floating = [np.isnan(column) for column in columns if column.dtype.kind == 'f']
    return np.any(floating, axis=0) if floating else np.zeros(points.shape, dtype=bool)
