//! What the hub sends: made, and applied, by the code that ships.

use std::path::Path;
use std::process::Command;

use super::job::Job;
use super::report::Measured;
use crate::bench::pairs::tool::{at, tool};
use crate::demo::Failure;

/// Hub and node have packs of what they have before anybody asks, so making those is not counted here.
pub(super) fn patch(job: &Job<'_>) -> Result<Measured, Failure> {
    let [old, new, patch, made] = ["old.pack", "new.pack", "patch", "made.pack"].map(|name| job.file(name));
    job.run(&step("pack", &[job.old(), &old])?)?;
    job.run(&step("pack", &[job.goal(), &new])?)?;
    let encode = job.run(&step("patch", &[&new, &patch, &old])?)?;
    let apply = job.run(&step("apply", &[&patch, &made, &old])?)?;
    let read = job.print(&step("tar", &[&made])?, "out")?;
    job.verify("out")?;
    Ok(Measured::new(&[("patch", job.size("patch")?)], encode, apply.then(read)))
}

/// A [`Step`](crate::bench::pairs::Step) as a process of its own, which is this program again.
pub(in crate::bench::pairs) fn step(name: &str, files: &[&Path]) -> Result<Command, Failure> {
    let mut command = tool(at(Path::new("this program"), std::env::current_exe())?);
    command.args(["step", name]).args(files);
    Ok(command)
}
