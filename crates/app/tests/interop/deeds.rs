//! What a client does on a stage, each deed checked from outside.

use portpass_testkit::{Client, CommandOutput, Image, Layout};

use crate::{
    audit::Auditor,
    ledger::{self, Cell},
    stage::{ACCOUNT, PASSWORD, Stage},
};

/// Has a client do all that it can, and holds the row against the page.
pub(crate) async fn perform_all(client: &mut dyn Client, stage: &Stage) {
    let scratch = tempfile::tempdir().unwrap();
    let image = Layout::runnable(&scratch.path().join("image"), GREETING);
    let index = Layout::multi_arch(&scratch.path().join("index"), &["amd64", "arm64", "s390x"]);
    let auditor = Auditor::of(&stage.place);
    let at = |name: &str| stage.place.image(&format!("{ACCOUNT}/{name}:1.0.0"));
    let login = client.login(&stage.place, ACCOUNT, PASSWORD);
    let performed = [
        cell(login),
        push(client, &auditor, &image, &at("app")).await,
        pull(client, &auditor, &at("app")).await,
        run(client, &at("app")),
        push_index(client, &auditor, &index, &at("all")).await,
        mount(client, stage, &auditor, &at("app"), &at("second")).await,
        list(client, &at("app")),
        delete(client, &auditor, &at("app")).await,
    ];
    ledger::confirm(stage.title, client, &performed);
}

async fn push(client: &dyn Client, auditor: &Auditor, layout: &Layout, image: &Image) -> Cell {
    client.push(layout, image).expect_success();
    auditor.manifest(image).await.expect("what was pushed is there");
    Cell::Works
}

async fn pull(client: &dyn Client, auditor: &Auditor, image: &Image) -> Cell {
    let pulled = client.pull(image);
    pulled.ran.expect_success();
    let there = auditor.manifest(image).await.expect("what was pulled is there").digest;
    assert!(pulled.digest.contains(&there.to_string()), "{there}: {}", pulled.digest);
    Cell::Works
}

fn run(client: &dyn Client, image: &Image) -> Cell {
    let Some(ran) = client.run(image) else { return Cell::NotSaid };
    assert_eq!(ran.expect_success().stdout.trim(), GREETING);
    Cell::Works
}

async fn push_index(
    client: &dyn Client,
    auditor: &Auditor,
    layout: &Layout,
    image: &Image,
) -> Cell {
    let Some(ran) = client.push_index(layout, image) else { return Cell::NotSaid };
    ran.expect_success();
    let index = auditor.manifest(image).await.expect("the index is there").content;
    let architectures: Vec<&str> = index["manifests"]
        .as_array()
        .expect("an index")
        .iter()
        .filter_map(|manifest| manifest["platform"]["architecture"].as_str())
        .collect();
    assert_eq!(architectures, layout.architectures(), "{index:#}");
    Cell::Works
}

/// A mount shows in the registry's log: a POST that ends with 201 instead of 202 (OC15).
async fn mount(
    client: &dyn Client,
    stage: &Stage,
    auditor: &Auditor,
    from: &Image,
    to: &Image,
) -> Cell {
    let Some(ran) = client.mount(from, to) else { return Cell::NotSaid };
    ran.expect_success();
    auditor.manifest(to).await.expect("what was mounted is there");
    let uploads = format!("/v2/{}/blobs/uploads/", to.repository());
    let log = stage.log();
    let posts = log.lines().filter(|line| line.contains("POST") && line.contains(&uploads));
    let mounted = |line: &&str| line.contains("status=201") || line.contains("\" 201 ");
    assert!(posts.clone().any(|line| mounted(&line)), "{:#?}", posts.collect::<Vec<_>>());
    Cell::Works
}

fn list(client: &dyn Client, image: &Image) -> Cell {
    let Some(ran) = client.list(image) else { return Cell::NotSaid };
    assert!(ran.expect_success().stdout.contains(image.tag()), "{ran}");
    Cell::Works
}

async fn delete(client: &dyn Client, auditor: &Auditor, image: &Image) -> Cell {
    let Some(ran) = client.delete(image) else { return Cell::NotSaid };
    ran.expect_success();
    assert!(auditor.manifest(image).await.is_none(), "it is still there");
    Cell::Works
}

fn cell(ran: Option<CommandOutput>) -> Cell {
    let Some(ran) = ran else { return Cell::NotSaid };
    ran.expect_success();
    Cell::Works
}

const GREETING: &str = "hello";
