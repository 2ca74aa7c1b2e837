# Compares a store with what xarray makes of the files of a grid, one by one.
# Arguments: the folder, how files of the two variables are joined, numbers of time and lat files.
import sys

import xarray as xr

folder, join, times, lats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
options = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}


def of_variable(name):
    def of_time(time):
        tiles = [xr.open_dataset(f"{folder}/{name}_{time}_{lat}.nc") for lat in range(lats)]
        return xr.concat(tiles, "lat", **options)

    return xr.concat([of_time(time) for time in range(times)], "time", **options)


expected = xr.merge([of_variable(name) for name in ("t", "q")], join=join, compat="no_conflicts")
store = xr.open_zarr(f"{folder}/out.zarr", consolidated=True)
xr.testing.assert_equal(store.load(), expected.load())
print(join, dict(store.sizes))
