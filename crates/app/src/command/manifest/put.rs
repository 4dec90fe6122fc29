//! `manifest put`: send a manifest.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use portpass_client::{
    ImageReference, MediaType, Reference, Repository, repository::Referrer,
    transfer::VerifiedManifest,
};
use serde_json::{Value, json};

use crate::{
    command::{
        Context,
        connection::{Connection, explained_operation},
        transfer::explained,
    },
    failure::Failure,
};

/// The arguments.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The name to give it, as in registry.example.com/team/app:1.0; without a tag, it is only known by its digest
    #[arg(value_name = "IMAGE")]
    image: ImageReference,
    /// The file that has it; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Its media type, if the document itself does not say it
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, file, media_type, json, connection } = arguments;
    let bytes = read(&file)?;
    let media_type = media_type.map_or_else(|| said_by(&bytes), Ok)?;
    let media_type = MediaType::from_content_type(&media_type)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let manifest =
        VerifiedManifest::read(bytes.into(), media_type, image.digest()).map_err(explained)?;
    let reference = match image.tag() {
        Some(tag) => Reference::Tag(tag.clone()),
        None => Reference::Digest(*manifest.digest()),
    };
    let session = connection.session(image.host().clone(), context)?;
    let repository = Repository::new(session, image.repository().clone());
    let put = repository.put_manifest(&reference, &(&manifest).into()).await;
    put.map_err(explained_operation)?;
    if let Some(subject) = &manifest.links().subject {
        let referrer = Referrer::of(manifest.descriptor(), manifest.links());
        let listed = repository.list_referrer(&subject.digest, &referrer).await;
        listed.map_err(explained_operation)?;
    }
    if json {
        context.printer.json(&json!({
            "image": image.with(reference).to_string(),
            "digest": manifest.digest(),
            "media_type": media_type.as_str(),
            "size": manifest.bytes().len(),
        }));
    } else {
        context.printer.line(manifest.digest());
    }
    Ok(())
}

/// The whole of it, and no more than a manifest may have.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = VerifiedManifest::MAX_LENGTH + 1;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::new(format!("{}: {error}", file.display()))),
    }
}

/// What stands in the document.
fn said_by(bytes: &[u8]) -> Result<String, Failure> {
    let document: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(format!("the manifest is not JSON: {error}")))?;
    document["mediaType"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage("the manifest has no `mediaType`; say what it is with --media-type")
    })
}
