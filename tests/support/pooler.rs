//! pgbouncer in transaction mode before the tests' Postgres: each transaction of a client may be served by another
//! connection to the server. It ends with the test program, however that ends.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::postgres::{postgres, unprivileged};

/// Connections to the server for all clients together: far fewer than one worker opens.
const POOL: u32 = 2;

/// A pooler of one's own.
#[derive(Debug)]
pub struct Pooler {
    /// Where it is, as `database.url` wants it.
    pub url: String,
    /// When its standard input closes (also by our death) it stops the pooler and removes its directory.
    _watchdog: Child,
}

/// `$1` is the directory, the rest how to start the pooler.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
dir=$1
shift
cd "$dir"
"$@" "$dir/pgbouncer.ini" >/dev/null 2>"$dir/log" &
cat >/dev/null
kill -KILL "$(cat "$dir/pid")" 2>/dev/null
rm -rf "$dir"
"#;

impl Pooler {
    /// Starts one; `None` if this machine has no pgbouncer, which is said past the test harness, since that would swallow
    /// it.
    ///
    /// # Panics
    /// If there is one and it does not start.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            let said =
                "SKIPPED, since pgbouncer is missing (Debian: apt-get install pgbouncer): what a pooler does to us\n";
            let _ = std::io::stderr().write_all(said.as_bytes());
            return None;
        };
        // Short, since the path of a Unix socket may have about a hundred characters only.
        let dir = tempfile::Builder::new().prefix("lp").tempdir_in("/tmp").expect("/tmp is writable").keep();
        let to = server();
        let ini = format!(
            "[databases]\n{name} = {to}\n\
             [pgbouncer]\npool_mode = transaction\ndefault_pool_size = {POOL}\nmax_client_conn = 200\n\
             auth_type = any\nlisten_port = 6432\nunix_socket_dir = {dir}\npidfile = {dir}/pid\n\
             log_connections = 0\nlog_disconnections = 0\n",
            name = "pooled",
            dir = dir.display(),
        );
        std::fs::write(dir.join("pgbouncer.ini"), ini).expect("it is our directory");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&dir)
            .args(unprivileged(&dir))
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C is for the tests; the watchdog goes when they are gone.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let began = Instant::now();
        while !dir.join(".s.PGSQL.6432").exists() {
            if began.elapsed() > Duration::from_secs(30) {
                panic!("pgbouncer does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // `host` as a parameter: a path can't stand where a host name does.
        let url = format!("postgres:///pooled?host={}&port=6432&user=anyone", dir.display());
        Some(Self { url, _watchdog: watchdog })
    }
}

impl Pooler {
    /// What one of the server's sessions says, whichever it is.
    ///
    /// # Panics
    /// If the statement fails.
    pub fn sql(&self, text: &str) -> String {
        let said = Command::new("psql").args(["-X", "-q", "-A", "-t", "-d", &self.url, "-c", text]).output();
        let said = said.expect("psql can be started");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

/// The tests' server, as pgbouncer wants to be told.
fn server() -> String {
    let url = url::Url::parse(&postgres().url).expect("the server's address is one");
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let parts = [
        ("host", parameter("host").or(url.host_str().map(str::to_owned))),
        ("port", parameter("port").or(url.port().map(|port| port.to_string()))),
        ("dbname", Some(url.path().trim_start_matches('/').to_owned())),
        ("user", parameter("user").or(Some(url.username().to_owned()))),
        ("password", parameter("password").or(url.password().map(str::to_owned))),
    ];
    let part = |(name, value): (&str, Option<String>)| value.map(|value| format!("{name}='{value}'"));
    parts.into_iter().filter_map(part).collect::<Vec<_>>().join(" ")
}
