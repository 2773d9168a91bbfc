//! The machine boots and there is no hub: from containerd's first answer until everything runs.

use std::path::Path;
use std::time::{Duration, Instant};

use containerd_client::services::v1::SubscribeRequest;
use containerd_client::services::v1::events_client::EventsClient;

use super::bare::Bare;
use super::desk::{Desk, signed};
use super::idle::all_run;
use super::{Figure, Plan};
use crate::containerd::Private;
use crate::demo::{Failure, Site};
use crate::image::Image;

/// Everything runs within this time after a boot.
const LIMIT: Duration = Duration::from_secs(60);

/// The site's node after a power cut, and a bare client that starts as many containers one after the other, in turns.
pub(super) async fn measure(plan: &Plan, sample: &Image, dir: &Path, site: &mut Site) -> Result<Figure, Failure> {
    let (image, source) = signed(sample)?;
    let mut desk = Desk::new(dir, image).await?;
    desk.receive(&source).await?;
    desk.create().await?;
    let mut bare = desk.bare().await?;
    for number in 0..plan.services {
        bare.create(&format!("bare-{number}")).await?;
    }
    site.kill_hub();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..plan.power_cuts {
        floor.push(bare_boot(plan, &mut desk.private, &mut bare).await?);
        desk.private.power_off();
        ours.push(boot(plan, site).await?);
        all_run(plan, site).await?;
    }
    let command = format!(
        "bench: power cut, no hub; containerd ready → {n} running, against {n} × bare Mounts, Task, Start; {} turns",
        plan.power_cuts,
        n = plan.services
    );
    Ok(Figure::against("offline_start", &mut ours, &mut floor, 1.3, command))
}

async fn bare_boot(plan: &Plan, private: &mut Private, bare: &mut Bare) -> Result<Duration, Failure> {
    private.power_off();
    private.restart().await;
    bare.reconnect(&private.socket()).await?;
    let begin = Instant::now();
    for number in 0..plan.services {
        bare.start(&format!("bare-{number}")).await?;
    }
    Ok(begin.elapsed())
}

async fn boot(plan: &Plan, site: &mut Site) -> Result<Duration, Failure> {
    site.power_off_node();
    site.containerd.restart().await;
    let started = tokio::spawn(starts(&site.containerd, plan.services).await?);
    let begin = Instant::now();
    site.spawn_node()?;
    let last = tokio::time::timeout(LIMIT, started).await.map_err(|_| "not everything runs after a boot")?;
    let last = last.map_err(|error| error.to_string())??;
    Ok(last.duration_since(begin))
}

/// Waits for `count` starts as containerd's own events tell them: asking again and again would disturb what is measured.
async fn starts(private: &Private, count: usize) -> Result<impl Future<Output = Result<Instant, Failure>> + use<>, Failure> {
    let channel = containerd_client::connect(private.socket()).await.map_err(|error| error.to_string())?;
    let filters = vec![format!("namespace=={},topic==\"/tasks/start\"", private.namespace())];
    Ok(async move {
        // Returns with the first event only: containerd sends no headers before.
        let subscribed = EventsClient::new(channel).subscribe(SubscribeRequest { filters }).await;
        let mut stream = subscribed.map_err(|status| status.to_string())?.into_inner();
        for _ in 0..count {
            stream.message().await.map_err(|status| status.to_string())?.ok_or("containerd ended its events")?;
        }
        Ok(Instant::now())
    })
}
