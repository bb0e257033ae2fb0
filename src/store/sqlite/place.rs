//! Where a SQLite database lies, and whether it can.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::store::{Result, StoreError};

fn bad(what: String) -> StoreError {
    StoreError::BadUrl { what }
}

/// The path in `sqlite://path` (`sqlite:path` is understood too).
pub(super) fn path(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    // Other tools need these to create a file; we create it anyway.
    if !matches!(parameters, "" | "mode=rwc" | "mode=rw") {
        return Err(bad(format!("`sqlite://` takes a path and no parameters, found `?{parameters}`; remove them")));
    }
    match path {
        "" => Err(bad("`sqlite://` is followed by no path; write e.g. `sqlite://leadsync.db`".to_owned())),
        ":memory:" => Err(bad(
            "a database in memory would forget every lead; name a file, e.g. `sqlite://leadsync.db`".to_owned(),
        )),
        path => Ok(PathBuf::from(path)),
    }
}

/// What to tell the operator of who may read the file besides its owner; nothing if that is as it should be. The group is
/// let in: other programs may fill the queue.
#[cfg(unix)]
pub(super) fn open_to_all(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        let shown = path.display();
        format!("every user of this machine may read `{shown}` (mode {mode:04o}), which holds people's data: chmod 600 {shown}")
    })
}

/// Creates the file if it is missing and `create`, so that only its owner can read it.
pub(super) fn prepare(path: &Path, create: bool) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        return Err(bad(format!("`{shown}` is a directory; name a file in it, e.g. `sqlite://{shown}/leadsync.db`")));
    }
    if !create {
        return match path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(bad(format!(
                "there is no database `{shown}` yet; `leadsync import FILE`, `leadsync run` or `leadsync db migrate` makes it \
                 (is this the right directory?)"
            ))),
            Err(error) => Err(bad(format!("`{shown}` can't be opened: {}", error.kind()))),
        };
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(bad(format!("`{shown}` can't be created, since its directory does not exist; create that first")))
        }
        Err(error) => Err(bad(format!("`{shown}` can't be created: {}", error.kind()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_relative_and_absolute_paths() {
        assert_eq!(path("sqlite://leadsync.db").unwrap(), Path::new("leadsync.db"));
        assert_eq!(path("sqlite:///var/lib/a b.db").unwrap(), Path::new("/var/lib/a b.db"));
        assert_eq!(path("sqlite:x.db?mode=rwc").unwrap(), Path::new("x.db"));
    }

    #[test]
    fn addresses_without_a_file_are_refused() {
        for url in ["sqlite://", "sqlite://:memory:", "sqlite://x.db?cache=shared"] {
            assert!(matches!(path(url), Err(StoreError::BadUrl { .. })), "{url}");
        }
    }

    #[test]
    fn a_directory_is_no_database() {
        let dir = tempfile::tempdir().unwrap();
        let said = prepare(dir.path(), true).unwrap_err().to_string();
        assert!(said.contains("is a directory"), "{said}");
        let said = prepare(&dir.path().join("no/such.db"), true).unwrap_err().to_string();
        assert!(said.contains("does not exist"), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_read_is_told_of() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leadsync.db");
        prepare(&path, true).unwrap();
        assert_eq!(open_to_all(&path), None);
        for (mode, told) in [(0o644, true), (0o666, true), (0o660, false), (0o600, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_to_all(&path).is_some(), told, "{mode:o}");
        }
    }

    #[test]
    fn a_missing_file_is_made_only_where_that_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leadsync.db");
        let said = prepare(&path, false).unwrap_err().to_string();
        assert!(said.contains("there is no database"), "{said}");
        assert!(!path.exists());
        prepare(&path, true).unwrap();
        assert!(path.exists() && prepare(&path, false).is_ok());
    }
}
