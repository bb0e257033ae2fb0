//! The key file beside a SQLite database, for those who set no key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Keyring, SealError};
use crate::auth::hex;
use crate::secret::Secret;

/// A keyring from a file.
#[derive(Debug)]
pub struct KeyFile {
    pub keyring: Keyring,
    /// The file: `<database>.key`.
    pub path: PathBuf,
    /// It was made just now; the operator should hear of it.
    pub created: bool,
}

impl Keyring {
    /// The key in `<database>.key`, or several, one a line, newest first. If there is none and the database holds nothing sealed yet, one is made, readable only
    /// for this user; never for a database that already holds sealed values, which a new key could not open.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] if it is missing though needed, unreadable, no key, can't be written, or is open to every user
    /// of the machine.
    pub fn for_sqlite_file(database: &Path, holds_sealed: bool) -> Result<KeyFile, SealError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".key");
        let path = PathBuf::from(path);
        let mut created = false;
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && holds_sealed => {
                return Err(SealError::KeyFile {
                    what: format!(
                        "the key file `{}` is missing, and the database holds secrets sealed with it; put it back, or set \
                         security.encryption_key to the key that was used",
                        path.display()
                    ),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                created = make(&path).map_err(|error| failed("can't be written", &path, &error))?;
                read(&path).map_err(|error| failed("can't be read", &path, &error))?
            }
            Err(error) => return Err(failed("can't be read", &path, &error)),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<Secret> = lines.map(Secret::new).collect();
        let keyring = Keyring::new(&keys).map_err(|_| SealError::KeyFile {
            what: format!(
                "the key file `{}` holds no key, or something else besides: expected 64 hex digits a line",
                path.display()
            ),
        })?;
        Ok(KeyFile { keyring, path, created })
    }
}

fn failed(how: &str, path: &Path, error: &io::Error) -> SealError {
    SealError::KeyFile { what: format!("the key file `{}` {how}: {error}", path.display()) }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    #[cfg(unix)]
    is_private(&file)?;
    // A key is 64 bytes; whatever else lies there is not read to the end.
    file.take(4096).read_to_string(&mut text)?;
    Ok(text)
}

/// As `ssh` does for its keys: a key that everybody may read is no key, and one that somebody else made is somebody
/// else's. The group is let in, since that is how volumes are given to pods (`fsGroup`).
#[cfg(unix)]
fn is_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata()?;
    let (mode, owner) = (meta.mode() & 0o777, meta.uid());
    if mode & 0o007 != 0 {
        return Err(io::Error::other(format!(
            "every user of this machine may use it (mode {mode:04o}); make it private: chmod 600"
        )));
    }
    let ours = rustix::process::geteuid().as_raw();
    if owner != ours && owner != 0 {
        return Err(io::Error::other(format!("it belongs to another user ({owner}, and this is {ours})")));
    }
    Ok(())
}

/// Writes a new key under another name and links it into place, so that the file is there whole or not at all, and the
/// first of two processes wins. False: another was first.
fn make(path: &Path) -> io::Result<bool> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| io::Error::other("the operating system gave no random bytes"))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:08x}.tmp", rand::random::<u32>()));
    let draft = PathBuf::from(draft);
    let placed = write_private(&draft, &format!("{}\n", hex(&bytes))).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match placed {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    }
    // The name must outlive a power cut like the database that it opens.
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
