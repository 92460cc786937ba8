"""sensor_msgs_py.point_cloud2: round trips, layouts and refusals."""

import array
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('rclpy')
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header


def fields(*specification):
    offset, result = 0, []
    sizes = {PointField.UINT8: 1, PointField.FLOAT32: 4, PointField.FLOAT64: 8}
    for name, datatype, count in specification:
        result.append(PointField(name=name, offset=offset, datatype=datatype, count=count))
        offset += sizes[datatype] * count
    return result


XYZ = np.array([[1, 2, 3], [np.nan, 5, 6], [7, 8, 9], [10, 11, 12]], dtype=np.float32)


def test_xyz_round_trip():
    cloud = point_cloud2.create_cloud_xyz32(Header(frame_id='thermal_optical_frame'), XYZ)
    assert cloud.header.frame_id == 'thermal_optical_frame'
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 4, 12, 48)
    assert isinstance(cloud.data, array.array)
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ('x', 'y', 'z')
    np.testing.assert_array_equal(points['y'], XYZ[:, 1])
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), XYZ)


@given(st.lists(st.tuples(*[st.floats(width=32, allow_nan=False)] * 3), max_size=20))
def test_any_list_of_points_comes_back(points):
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    found = point_cloud2.read_points_numpy(cloud)
    np.testing.assert_array_equal(found, np.array(points, np.float32).reshape(-1, 3))


def test_selection_of_fields_points_and_numbers():
    cloud = point_cloud2.create_cloud_xyz32(Header(), XYZ)
    assert point_cloud2.read_points(cloud, ['z', 'x']).dtype.names == ('x', 'z')
    found = point_cloud2.read_points_numpy(cloud, skip_nans=True)
    np.testing.assert_array_equal(found, XYZ[[0, 2, 3]])
    assert len(point_cloud2.read_points(cloud, ['y', 'z'], skip_nans=True)) == 4
    found = point_cloud2.read_points_numpy(cloud, uvs=[3, 0])
    np.testing.assert_array_equal(found, XYZ[[3, 0]])


def test_mixed_fields_arrays_and_padding():
    layout = fields(('id', PointField.UINT8, 1), ('', PointField.FLOAT64, 2))
    cloud = point_cloud2.create_cloud(Header(), layout, [(1, 0.5, 1.5), (2, 2.5, 3.5)], 24)
    assert cloud.point_step == 24
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ('id', 'unnamed_field_1_0', 'unnamed_field_1_1')
    assert points['unnamed_field_1_1'].tolist() == [1.5, 3.5]
    with pytest.raises(AssertionError, match='different types'):
        point_cloud2.read_points_numpy(cloud)


def test_structured_points_keep_their_exact_values():
    layout = fields(('t', PointField.FLOAT64, 1), ('x', PointField.FLOAT32, 1))
    points = np.zeros(2, point_cloud2.dtype_from_fields(layout))
    points['t'] = [1_700_000_000.123456, 2.0]
    cloud = point_cloud2.create_cloud(Header(), layout, points)
    np.testing.assert_array_equal(point_cloud2.read_points(cloud), points)
    padded = np.zeros(2, point_cloud2.dtype_from_fields(layout, point_step=32))
    assert point_cloud2.create_cloud(Header(), layout, padded).point_step == 32
    with pytest.raises(AssertionError, match='layout'):
        point_cloud2.create_cloud(Header(), layout, padded, point_step=12)


def test_organised_clouds_and_padded_rows():
    organised = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(), organised)
    # As in the ROS package: the first axis of the array is the width.
    assert (cloud.width, cloud.height) == (2, 4)
    found = point_cloud2.read_points(cloud, reshape_organized_cloud=True)
    assert found.shape == (2, 4)
    np.testing.assert_array_equal(found['z'], organised[..., 2])
    row = cloud.row_step
    padded = b''.join(bytes(cloud.data[i * row : (i + 1) * row]) + b'\xff' * 8 for i in range(4))
    cloud.data, cloud.row_step = array.array('B', padded), row + 8
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), organised.reshape(-1, 3))


def test_foreign_byte_order_is_read():
    cloud = point_cloud2.create_cloud_xyz32(Header(), XYZ)
    swapped = XYZ.astype(XYZ.dtype.newbyteorder('S')).tobytes()
    cloud.data, cloud.is_bigendian = array.array('B', swapped), sys.byteorder == 'little'
    found = point_cloud2.read_points_numpy(cloud)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, XYZ)


def test_empty_cloud():
    assert point_cloud2.read_points_numpy(point_cloud2.create_cloud_xyz32(Header(), [])).shape == (
        0,
        3,
    )
    empty = PointCloud2(fields=fields(('x', PointField.FLOAT32, 1)), point_step=4, height=1)
    assert len(point_cloud2.read_points(empty)) == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='3 values'):
        point_cloud2.create_cloud_xyz32(Header(), np.zeros((4, 2)))
    cloud = point_cloud2.create_cloud_xyz32(Header(), XYZ)
    with pytest.raises(AssertionError, match='intensity'):
        point_cloud2.read_points(cloud, ['intensity'])
