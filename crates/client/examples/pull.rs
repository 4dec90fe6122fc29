//! Pulls an image into a folder: `cargo run -p portpass-client --example pull -- alpine folder`

use std::sync::Arc;

use portpass_client::{
    Registry, Session, SystemClock, Transport,
    credentials::{CredentialFiles, CredentialPaths},
    layout::Folder,
    transfer::{RemoteImage, Transfer},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [image, folder] = words.as_slice() else { return Err("IMAGE FOLDER".into()) };
    let image = image.parse::<portpass_client::ImageReference>()?;
    let credentials = CredentialFiles::new(CredentialPaths::from_environment(|name| {
        std::env::var_os(name)?.into_string().ok()
    }));
    let registry = Registry::new(
        image.host().clone(),
        Arc::new(Transport::default()),
        Arc::new(credentials),
        Arc::new(SystemClock),
    );
    let source = RemoteImage::new(Arc::new(Session::new(registry)), &image);
    let target = Folder::create(folder.as_ref(), None)?;
    let pulled = Transfer::new(&source, &target).run().await?;
    assert!(pulled.manifests > 0 || pulled.blobs.held > 0);
    Ok(())
}
