use super::*;

const FILES: [&str; 7] =
    ["a10.nc", "a2.nc", "b.txt", "sub/a1.nc", "sub/deep/a3.nc", "x.zarr/zarr.json", ".hidden.nc"];

/// The same files in memory and in a folder; `check` must find the same in both.
fn roots(name: &str) -> (tempfile::TempDir, [String; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = [format!("memory://expand-{name}/r"), folder.path().display().to_string()];
    for root in &roots {
        let location = Location::parse(root).expect("a location");
        let objects = Objects::open(&location, &StoreOptions::default()).expect("opens");
        for file in FILES {
            objects.put(file, file.into()).wait().expect("writes");
        }
    }
    (folder, roots)
}

#[track_caller]
fn check(name: &str, pattern: &str, want: &[&str]) {
    let (_folder, roots) = roots(name);
    for root in roots {
        let source = format!("{root}/{pattern}");
        let found = expand(&source, &StoreOptions::default());
        let shown = |location: &Location| {
            location.to_string()[root.len()..].trim_start_matches('/').to_owned()
        };
        match found {
            Ok(found) => assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), want, "{source}"),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::NOTHING_MATCHES, "{error}");
                assert!(want.is_empty(), "{source}: {error}");
            }
        }
    }
}

#[test]
fn a_file_is_itself() {
    check("file", "a2.nc", &["a2.nc"]);
}

#[test]
fn a_folder_is_the_files_in_it() {
    check("folder", "", &["a2.nc", "a10.nc", "b.txt"]);
    check("folder", "sub", &["sub/a1.nc"]);
}

#[test]
fn patterns_match_names_in_natural_order() {
    check("names", "*.nc", &["a2.nc", "a10.nc"]);
    check("names", "a?.nc", &["a2.nc"]);
    check("names", ".*.nc", &[".hidden.nc"]);
    check("names", "s*/a*", &["sub/a1.nc"]);
    check("names", "s[tu]b/deep/*.nc", &["sub/deep/a3.nc"]);
}

#[test]
fn two_stars_cross_folders() {
    check("stars", "**/*.nc", &["a2.nc", "a10.nc", "sub/a1.nc", "sub/deep/a3.nc"]);
    check("stars", "sub/**", &["sub/a1.nc", "sub/deep/a3.nc"]);
}

#[test]
fn folders_are_found_where_no_file_is() {
    check("folders", "*.zarr", &["x.zarr"]);
}

#[test]
fn nothing_is_an_error() {
    check("nothing", "*.grib", &[]);
    check("nothing", "none/a.nc", &[]);
    check("nothing", "none/*.nc", &[]);
}

#[test]
fn a_name_with_brackets_is_a_name_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a[1].nc");
    std::fs::write(&path, "x").expect("writes");
    let found = expand(path.to_str().expect("utf-8"), &StoreOptions::default()).expect("found");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_broken_pattern_is_refused() {
    let error = expand("memory://expand-broken/a[", &StoreOptions::default()).expect_err("broken");
    assert_eq!(error.code(), ErrorCode::INVALID_RECIPE);
}

#[test]
fn numbers_are_ordered_as_numbers() {
    let mut names = ["a10", "a9", "a010", "b1", "a9b", "a"];
    names.sort_by(|a, b| natural_order(a, b));
    assert_eq!(names, ["a", "a9", "a9b", "a010", "a10", "b1"]);
}
