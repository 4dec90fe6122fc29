mod blobs;
mod manifests;
mod uploads;
