//! Stub.
#[derive(clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_: &Args, shared: &super::Shared) -> anyhow::Result<super::Exit> { let _ = shared.color; Ok(super::Exit::Ok) }
