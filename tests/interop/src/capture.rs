//! Records what browsers send, for the fixtures of the crate's own tests.

use crate::options::Options;

pub(crate) fn run(_options: &Options) -> anyhow::Result<()> {
    Ok(())
}
