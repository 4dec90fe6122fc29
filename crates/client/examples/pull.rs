//! Pulls an image into a folder, as an OCI image layout:
//!
//! ```text
//! cargo run -p portpass-client --example pull -- alpine folder
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use portpass_client::{
    ImageReference, Registry,
    layout::Folder,
    transfer::{RemoteImage, Transfer},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, folder] = arguments.as_slice() else {
        return Err("usage: pull IMAGE FOLDER".into());
    };
    let image: ImageReference = image.parse()?;
    // With docker's and podman's credentials, and the certificates that this machine trusts.
    let registry = Registry::from_environment(image.host().clone())?.into_session();
    let source = RemoteImage::new(registry, &image);
    let target = Folder::create(folder.as_ref(), None)?;
    // A blob that the folder has already is not downloaded again.
    let pulled = Transfer::new(&source, &target).run().await?;
    println!("{} manifests, {} blobs", pulled.manifests, pulled.blobs.transferred);
    Ok(())
}
