//! Pulls an image into a folder: `cargo run -p portpass-client --example pull -- alpine folder`

use portpass_client::{
    ImageReference, Registry,
    layout::Folder,
    transfer::{RemoteImage, Transfer},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, folder] = arguments.as_slice() else { return Err("IMAGE FOLDER".into()) };
    let image: ImageReference = image.parse()?;
    let registry = Registry::from_environment(image.host().clone())?.into_session();
    let source = RemoteImage::new(registry, &image);
    let target = Folder::create(folder.as_ref(), None)?;
    let pulled = Transfer::new(&source, &target).run().await?;
    assert!(pulled.manifests > 0 || pulled.blobs.held > 0);
    Ok(())
}
