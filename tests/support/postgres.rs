//! A Postgres server for the tests: the one at `DATABASE_URL_POSTGRES`, or a private cluster made from the machine's
//! binaries, in a temporary directory, on a Unix socket only. It ends with the test program, however that ends.
//!
//! A test that stops and starts its server has a [`Cluster`] of its own, private in any case.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A server that tests may make schemas in.
#[derive(Debug)]
pub struct Postgres {
    /// Where it is, as `database.url` wants it.
    pub url: String,
    /// When its standard input closes (also by our death) it stops the cluster and removes its directory.
    _watchdog: Option<Child>,
}

impl Postgres {
    /// The same server's database of this name, whether it is there or not.
    pub fn url_of(&self, database: &str) -> String {
        let mut url = url::Url::parse(&self.url).expect("the server's address is one");
        url.set_path(database);
        url.into()
    }
}

/// The server of this test program, started once.
///
/// # Panics
/// If there is none and none can be started: a missing server is a failure with a remedy, never a skipped test.
pub fn postgres() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("DATABASE_URL_POSTGRES") {
        Ok(url) if !url.is_empty() => Postgres { url, _watchdog: None },
        _ => {
            let Cluster { url, watchdog, .. } = Cluster::start_new();
            Postgres { url, _watchdog: Some(watchdog) }
        }
    })
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In order: transactions are undone, clients told.
    Fast,
    /// As a crash: the next start recovers from the log.
    Immediate,
}

/// A private server of one test, to be stopped and started again with the same data at the same address.
#[derive(Debug)]
pub struct Cluster {
    /// Where it is, as `database.url` wants it.
    pub url: String,
    dir: PathBuf,
    bin: PathBuf,
    become_user: Vec<String>,
    /// As [`Postgres`]'s.
    watchdog: Child,
}

impl Cluster {
    /// A running server without any data.
    ///
    /// # Panics
    /// If the server's binaries are not on this machine, also where `DATABASE_URL_POSTGRES` is set: that server belongs
    /// to somebody, and is not stopped.
    pub fn start_new() -> Self {
        start()
    }

    /// Stops it; returns when it has.
    pub fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.pg_ctl(&["stop", "-w", "-t", "60", "-m", mode]);
    }

    /// Starts it again; returns when it takes connections.
    pub fn start(&self) {
        self.pg_ctl(&["start", "-w", "-t", "60", "-l", &self.dir.join("server.log").display().to_string(), "-o"]);
    }

    fn pg_ctl(&self, args: &[&str]) {
        let mut argv = self.become_user.clone();
        argv.push(self.bin.join("pg_ctl").display().to_string());
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        if args.last() == Some(&"-o") {
            argv.push(server_options(&self.dir));
        }
        let done = Command::new(&argv[0])
            .args(&argv[1..])
            .arg("-D")
            .arg(self.dir.join("data"))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl can be started");
        assert!(done.success(), "pg_ctl {} failed: {done}", args[0]);
    }
}

fn server_options(dir: &Path) -> String {
    format!("-k '{}' -c listen_addresses='' -c max_connections=200", dir.display())
}

/// Starts a cluster, tells that it is ready, waits until standard input ends, and clears up. `$1` is the directory, `$2`
/// the binaries', `$3` the server's options, the rest how to become the user that the server runs as.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
dir=$1 bin=$2 options=$3
shift 3
cd "$dir"
"$@" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 &&
"$@" "$bin/pg_ctl" start -w -t 60 -D "$dir/data" -l "$dir/server.log" \
    -o "$options" >>"$dir/log" 2>&1 &&
echo ready || { cat "$dir/log" "$dir/server.log" 2>/dev/null; echo; }
exec >/dev/null
cat >/dev/null
"$@" "$bin/pg_ctl" stop -m immediate -D "$dir/data" >/dev/null 2>&1
rm -rf "$dir"
"#;

fn start() -> Cluster {
    let Some(bin) = binaries() else {
        panic!(
            "these tests need a Postgres server of their own: install its binaries (for most tests, setting \
             DATABASE_URL_POSTGRES will do; not for those that stop and start it) \
             (Debian: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql)"
        );
    };
    // Short, since the path of a Unix socket may have about a hundred characters only.
    let dir = tempfile::Builder::new().prefix("ls").tempdir_in("/tmp").expect("/tmp is writable").keep();
    let become_user = unprivileged(&dir);
    let mut watchdog = Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(&dir)
        .arg(&bin)
        .arg(server_options(&dir))
        .args(&become_user)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is for the tests; the watchdog goes when they are gone.
        .process_group(0)
        .spawn()
        .expect("sh can be started");
    let mut lines = BufReader::new(watchdog.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    if first != "ready" {
        let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
        panic!("a private Postgres could not be started from {}:\n{first}\n{}", bin.display(), rest.join("\n"));
    }
    let url = format!("postgres:///postgres?host={}&user=postgres", dir.display());
    Cluster { url, dir, bin, become_user, watchdog }
}

/// The directory that holds the server's binaries.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        candidates.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    // Newest first; a wrapper in PATH comes after the real binaries.
    candidates.sort();
    candidates.reverse();
    if let Ok(said) = Command::new("pg_config").arg("--bindir").output() {
        candidates.push(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
    }
    candidates.extend(std::env::split_paths(&path));
    let complete = |dir: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| dir.join(name).is_file());
    candidates.into_iter().find(complete)
}

/// Postgres and its pooler refuse to run as root; then this is how to become somebody else, who is given the directory.
pub fn unprivileged(dir: &Path) -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let exists = |user: &&str| Command::new("id").arg("-u").arg(user).output().is_ok_and(|out| out.status.success());
    let user = ["postgres", "nobody"].into_iter().find(exists).expect("there is a user `nobody`");
    let done = Command::new("chown").arg(user).arg(dir).status().expect("chown can be started");
    assert!(done.success(), "the directory of the private Postgres could not be given to `{user}`");
    let works = |argv: &[String]| {
        Command::new(&argv[0]).args(&argv[1..]).arg("true").output().is_ok_and(|out| out.status.success())
    };
    let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let group = Command::new("id").args(["-gn", user]).output().expect("id can be started").stdout;
    let group = String::from_utf8_lossy(&group).trim().to_owned();
    [words(format!("setpriv --reuid={user} --regid={group} --clear-groups")), words(format!("runuser -u {user} --"))]
        .into_iter()
        .find(|argv| works(argv))
        .expect("root needs `setpriv` or `runuser` (util-linux) to start a private Postgres")
}
