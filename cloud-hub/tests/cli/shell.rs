//! An operator's shell: a home of its own, and the program.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use shared::id::Digest;
use shared::sign::SecretKey;

use crate::world::World;

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It went well; what it said.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It failed with this exit code and this code of an error.
    #[track_caller]
    pub fn failed(self, exit: i32, code: &str) -> Self {
        assert_eq!(self.code, exit, "{self:?}");
        assert!(self.err.contains(&format!("[{code}]")), "{self:?}");
        self
    }
}

/// A home, and variables.
pub struct Shell {
    pub home: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

impl Shell {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), vars: Vec::new() }
    }

    /// Logged in to the hub of `world`, with a publisher key that the hub knows.
    pub async fn of(world: &World) -> Self {
        let shell = Self::new();
        shell.run(&["login", &world.base, "--token", &world.token, "--ca-fingerprint", &pin(world)]).await.ok();
        shell.run(&["keygen"]).await.ok();
        shell.run(&["publisher", "add", "team", &shell.path("config/causeway/publisher.pub")]).await.ok();
        shell
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.into(), value.into()));
        self
    }

    /// A path below the home.
    pub fn path(&self, below: &str) -> String {
        self.home.path().join(below).display().to_string()
    }

    /// Writes a file below the home; its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.home.path().join(name), content).unwrap();
        self.path(name)
    }

    /// The publisher's key.
    pub fn key(&self) -> SecretKey {
        std::fs::read_to_string(self.path("config/causeway/publisher.key")).unwrap().parse().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_hubctl")));
        command.args(args).env_clear().env("XDG_CONFIG_HOME", self.path("config")).stdin(Stdio::null());
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the program with a text on its standard input.
    pub async fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let path = self.file("stdin", input);
        let mut command = self.command(args);
        command.stdin(std::fs::File::open(path).unwrap());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts the program; its output is read by the caller.
    pub fn start(&self, args: &[&str]) -> Running {
        Running(self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

/// A program that runs; ended with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// The fingerprint of the hub's CA.
pub fn pin(world: &World) -> String {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    Digest::of(&CertificateDer::from_pem_slice(world.ca.as_bytes()).unwrap()).to_string()
}
