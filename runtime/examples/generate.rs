//! The whole of a program with a model in it: `generate FILE [PROMPT] [TOKENS]` prints what the model writes.
//!
//! The file is read into memory here, which needs nothing but `std`; a program that maps it starts sooner. CI builds it
//! with the profile `small` and asserts how much code a model costs a program (`.ci/run footprint`).

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use whit::{AlignedBytes, Model};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: generate FILE [PROMPT] [TOKENS]")?;
    let prompt = arguments.next().unwrap_or_default();
    let tokens = arguments.next().map_or(Ok(100), |tokens| tokens.parse())?;

    let mut file = File::open(file)?;
    let mut bytes = AlignedBytes::zeroed(file.metadata()?.len().try_into()?);
    file.read_exact(&mut bytes)?;
    let model = Model::parse(&bytes)?;
    let options = model.options(model.architecture().context().unwrap_or(1024) as usize);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options)?);
    let mut session = model.session(&mut arena, options)?;
    for piece in session.generate(&prompt, &model.sampling()?)?.max_tokens(tokens) {
        write!(io::stdout(), "{piece}")?;
        io::stdout().flush()?;
    }
    Ok(writeln!(io::stdout())?)
}
