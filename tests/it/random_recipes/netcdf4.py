"""Writes every NetCDF file in folders anew as NetCDF-4, in chunks and compressed, as it stands."""

import pathlib
import sys

import netCDF4

for folder in sys.argv[1:]:
    for number, path in enumerate(sorted(pathlib.Path(folder).glob("*.nc"))):
        old = netCDF4.Dataset(path)
        old.set_auto_maskandscale(False)
        new = netCDF4.Dataset(path.with_suffix(".new"), "w", format="NETCDF4")
        new.setncatts({name: old.getncattr(name) for name in old.ncattrs()})
        for name, dimension in old.dimensions.items():
            new.createDimension(name, None if dimension.isunlimited() else len(dimension))
        for name, variable in old.variables.items():
            attributes = {name: variable.getncattr(name) for name in variable.ncattrs()}
            packed = dict(zlib=True, complevel=1, shuffle=number % 2 == 0) if variable.shape else {}
            fill = attributes.pop("_FillValue", None)
            chunks = [max(1, length // (1 + number % 3)) for length in variable.shape] or None
            made = new.createVariable(
                name, variable.dtype, variable.dimensions, fill_value=fill, chunksizes=chunks, **packed
            )
            made.set_auto_maskandscale(False)
            made.setncatts(attributes)
            made[...] = variable[...]
        new.close()
        old.close()
        path.with_suffix(".new").replace(path)
