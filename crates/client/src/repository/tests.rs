mod blobs;
mod manifests;
mod over_http2;
mod uploads;
