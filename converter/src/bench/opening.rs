//! Opening the file: what a program that starts has to do before the first token.

use super::subject::session_options;
use super::{Options, message};
use crate::arena::Arena;
use crate::map::Map;
use std::path::Path;
use std::time::Instant;
use whit::sampler::Sampler;
use whit::threads::ThreadPool;
use whit::{Model, Session, Token};

/// How often loading is measured.
const LOADS: usize = 11;

/// What opens the file, again and again.
pub(super) struct Opening<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a Options,
    pub(super) pool: &'a ThreadPool,
}

impl Opening<'_> {
    pub(super) fn map(&self) -> Result<Map, String> {
        Map::open(self.path).map_err(|error| format!("cannot be read: {error}"))
    }

    pub(super) fn model<'m>(&self, bytes: &'m [u8]) -> Result<Model<'m>, String> {
        let model = Model::parse(bytes).map_err(message)?;
        Ok(self.options.backend.map_or(model, |backend| model.with_backend(backend)))
    }

    /// Opens the file, makes a session and does `work` with it; milliseconds of all.
    fn timed(&self, work: impl Fn(&mut Session<'_, '_>) -> Result<(), whit::Error>) -> Result<f64, String> {
        let start = Instant::now();
        let map = self.map()?;
        let model = self.model(&map)?;
        let options = session_options(&model, self.options, self.pool);
        let mut arena = Arena::new(model.arena_size(&options).map_err(message)?)?;
        let mut session = model.session_on(self.pool, arena.bytes(), options).map_err(message)?;
        work(&mut session).map_err(message)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    pub(super) fn load_ms(&self) -> Result<Vec<f64>, String> {
        (0..LOADS).map(|_| self.timed(|_| Ok(()))).collect()
    }

    /// Load, prompt, logits, and the first token drawn as the file asks for.
    pub(super) fn first_token_ms(&self, prompt: &[Token]) -> Result<Vec<f64>, String> {
        let work = |session: &mut Session<'_, '_>| {
            let mut sampler = Sampler::new(session.model().sampling()?)?;
            session.feed(prompt)?;
            std::hint::black_box(session.sample(&mut sampler));
            Ok(())
        };
        (0..self.options.repeats).map(|_| self.timed(work)).collect()
    }
}
