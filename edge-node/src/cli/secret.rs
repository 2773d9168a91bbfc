//! `secret set|list|remove`. A value is read from a file or standard input: arguments are visible to every user.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use hyper::Method;
use shared::fault::{Fault, cli, node};
use shared::id::Name;

use super::args::SecretAction;
use super::client::Client;
use super::exit::{Ended, Exit};
use super::out::Out;
use crate::api::SECRET_MAX;

pub async fn run(action: SecretAction, client: &Client, out: &mut Out) -> Result<(), Ended> {
    match action {
        SecretAction::Set { app, name, file } => {
            let value = read(&file)?;
            client.send(Method::PUT, &format!("/v1/secrets/{app}/{name}"), value.into()).await?;
            out.say(&Fault::new(&cli::SECRET_SET).with("name", name).with("app", app))
        }
        SecretAction::Remove { app, name } => {
            client.send(Method::DELETE, &format!("/v1/secrets/{app}/{name}"), Bytes::new()).await?;
            out.say(&Fault::new(&cli::SECRET_REMOVED).with("name", name).with("app", app))
        }
        SecretAction::List { app } => {
            let names: Vec<Name> = client.get(&format!("/v1/secrets/{app}")).await?;
            if out.is_json() { out.json(&names) } else { names.iter().try_for_each(|name| out.line(name.as_str())) }
        }
    }
}

/// The bytes as they are, a newline at the end included.
fn read(file: &Path) -> Result<Vec<u8>, Ended> {
    let mut value = Vec::new();
    let limit = SECRET_MAX as u64 + 1;
    let result = if file == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut value)
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut value))
    };
    let failed = |error| Fault::new(&cli::INPUT_FAILED).with("what", file.display()).with("cause", error);
    result.map_err(|error: io::Error| Ended::failed(Exit::Error, failed(error)))?;
    if value.len() > SECRET_MAX {
        return Err(Ended::failed(Exit::Error, Fault::new(&node::SECRET_TOO_LARGE).with("max", SECRET_MAX)));
    }
    Ok(value)
}
