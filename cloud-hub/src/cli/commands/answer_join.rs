//! `hubctl answer-join`: takes in a node that no link reaches; its request was carried here, and the answer is carried back.

use std::path::Path;

use reqwest::Method;
use shared::fault::{Fault, Faulty, trust};
use shared::join::{CARRIED_MAX, Carried, CarriedError};

use super::super::args::AnswerJoin;
use super::super::client::Target;
use super::super::error::CliError;
use super::super::files;
use super::super::part::Part;
use super::super::session::Session;
use crate::api::types::{EnrollRequest, Enrolled};

/// That the answer can be written is known before the token is used. It works for one key: the same request gets the same answer.
pub(super) async fn run(session: &mut Session, args: &AnswerJoin) -> Result<(), CliError> {
    let unfit = |error: CarriedError| CliError::Unfit(error.fault());
    let bytes = files::bytes(Path::new(&args.request), CARRIED_MAX)?;
    let request: EnrollRequest = Carried::Request.from_bytes(&bytes).map_err(unfit)?;
    let client = session.client()?;
    let mut part = Part::create(Path::new(&args.to))?;
    let (answer, _): (Enrolled, bool) = client.change(Method::POST, Target::new(&["enroll"]), None, &request).await?;
    part.write(&Carried::Answer.to_bytes(&answer).map_err(unfit)?)?;
    part.finish()?;
    Ok(session.out.say(&Fault::new(&trust::JOIN_ANSWERED).with("node", request.node).with("path", &args.to))?)
}
