//! From a step of the plan to a running process, with the image present.

use std::path::Path;
use std::time::Instant;

use super::desk::{Desk, signed};
use super::{Figure, Plan};
use crate::demo::Failure;
use crate::image::Image;

/// One container by the node's runtime, one by a bare client, in turns on the same containerd.
pub(super) async fn measure(plan: &Plan, sample: &Image, dir: &Path) -> Result<Figure, Failure> {
    let (image, source) = signed(sample)?;
    let desk = Desk::new(dir, image).await?;
    desk.receive(&source).await?;
    desk.create().await?;
    let bare = desk.bare().await?;
    bare.create_and_run("warm").await?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for round in 0..plan.deploys {
        let begin = Instant::now();
        bare.create_and_run(&format!("bare-{round}")).await?;
        floor.push(begin.elapsed());
        let begin = Instant::now();
        desk.create().await?;
        ours.push(begin.elapsed());
    }
    let command =
        format!("bench: Step::Create (network_mode host) against bare Prepare, Create, Task, Start; {} turns", plan.deploys);
    Ok(Figure::against("deploy_to_running", &mut ours, &mut floor, 1.3, command))
}
