//! Threads turn by turn: in one process, on one mapped model, each number of threads with a pool and a session of its own
//! does the same short burst of work, one after the other and in the other order in the next turn. Beside each burst
//! stands a probe as long of what the machine gives as many threads. Figures taken in processes one after the other say
//! little where neighbours share the cores: single runs differ by a factor of two there.

use super::opening::Opening;
use super::probe::Probe;
use super::runs::{self, AT_LEAST, Run};
use super::scaling::{Phase, Turn, Turns, Work, are_sure};
use super::statistics::Summary;
use super::subject::{session_options, tokens};
use super::{Options, message};
use crate::arena::Arena;
use crate::inspect::weight_bytes_per_token;
use std::path::Path;
use std::time::Instant;
use whit::format::Section;
use whit::threads::ThreadPool;
use whit::{Model, Session, Token};

/// At least so many turns for each repeat that is asked for: they are short.
const TURNS: usize = 4;

/// Measures the file at `path` with each of these numbers of threads, turn by turn: prefill until its ratios are sure or
/// [`Options::time_limit`] is over, then decode. `progress` is told how much of how much is done.
///
/// # Errors
/// A message: the file cannot be opened, or a session cannot be made.
pub fn turns(
    path: &Path,
    options: &Options,
    threads: &[usize],
    mut progress: impl FnMut(usize, usize),
) -> Result<Turns, String> {
    let about = |error: String| format!("{}: {error}", path.display());
    let pools: Result<Vec<_>, _> = threads.iter().map(|&threads| ThreadPool::new(threads)).collect();
    let pools = pools.map_err(|error| format!("cannot start a thread: {error}"))?;
    let first = pools.first().ok_or("expected a number of threads")?;
    let opening = Opening { path, options, pool: first };
    let map = opening.map().map_err(about)?;
    let model = opening.model(&map).map_err(about)?;
    let mut arenas = arenas(&model, options, &pools).map_err(about)?;
    let mut lanes = lanes(&model, options, &pools, &mut arenas).map_err(about)?;
    let mut found = Turns::default();
    for (done, phase) in [Phase::Prefill, Phase::Decode].into_iter().enumerate() {
        progress(done, 2);
        let probe = match phase {
            Phase::Prefill => Probe::products(model.backend()),
            Phase::Decode => Probe::read(model.backend(), model.file().section(Section::TensorData), first),
        };
        let fed = fed(&model, options, phase);
        let sure = |_: &Burst<'_>, turns: &[Turn]| are_sure(turns, options.spread);
        let (burst, turns) =
            measure(&mut lanes, phase, &fed, options, probe.as_ref(), sure).map_err(about)?;
        let name = probe.as_ref().map(Probe::name);
        let work = Work { phase, threads, burst_tokens: burst.count(), probe: name.as_deref() };
        found.add(&work, &turns);
    }
    Ok(found)
}

/// Of each of some turns, the bytes of weights that decoding read in a second over those that `pool` reads of the same weights
/// when it does nothing else. One after the other, minutes apart, they say little: memory gives a core half as much in one second
/// as in another. Nothing if there is too little to read.
pub(super) fn bandwidth_shares(
    model: &Model<'_>,
    options: &Options,
    pool: &ThreadPool,
) -> Result<Vec<f64>, String> {
    let pools = std::slice::from_ref(pool);
    let Some(probe) = Probe::read(model.backend(), model.file().section(Section::TensorData), pool) else {
        return Ok(vec![]);
    };
    let mut arenas = arenas(model, options, pools)?;
    let mut lanes = lanes(model, options, pools, &mut arenas)?;
    let weight_bytes = weight_bytes_per_token(model.file()) as f64;
    let shares = |burst: &Burst<'_>, turns: &[Turn]| -> Vec<f64> {
        let bytes = weight_bytes * burst.count() as f64;
        let of_turn = |turn: &Turn| (bytes / probe.bytes(burst.probe_units) as f64) * turn.first_share();
        turns.iter().map(of_turn).collect()
    };
    let sure =
        |burst: &Burst<'_>, turns: &[Turn]| Summary::of(&shares(burst, turns)).spread() <= options.spread;
    let fed = fed(model, options, Phase::Decode);
    let (burst, turns) = measure(&mut lanes, Phase::Decode, &fed, options, Some(&probe), sure)?;
    Ok(shares(&burst, &turns))
}

/// What a phase feeds.
fn fed(model: &Model<'_>, options: &Options, phase: Phase) -> Vec<Token> {
    let most = model.architecture().context().map_or(usize::MAX, |context| context as usize);
    let count = match phase {
        Phase::Prefill => options.prompt_tokens,
        Phase::Decode => options.decode_tokens,
    };
    tokens(model, count.clamp(1, most), options.seed)
}

/// A number of threads.
struct Lane<'m, 's> {
    pool: &'s ThreadPool,
    session: Session<'m, 's>,
}

fn arenas(model: &Model<'_>, options: &Options, pools: &[ThreadPool]) -> Result<Vec<Arena>, String> {
    let size = |pool| model.arena_size(&session_options(model, options, pool)).map_err(message);
    pools.iter().map(|pool| Arena::new(size(pool)?)).collect()
}

fn lanes<'m: 's, 's>(
    model: &'s Model<'m>,
    options: &Options,
    pools: &'s [ThreadPool],
    arenas: &'s mut [Arena],
) -> Result<Vec<Lane<'m, 's>>, String> {
    let lane = |(pool, arena): (&'s ThreadPool, &'s mut Arena)| {
        let session = model.session_on(pool, arena.bytes(), session_options(model, options, pool));
        session.map(|session| Lane { pool, session }).map_err(message)
    };
    pools.iter().zip(arenas).map(lane).collect()
}

/// The same work for every number of threads.
#[derive(Clone, Copy)]
struct Burst<'t> {
    phase: Phase,
    tokens: &'t [Token],
    passes: usize,
    /// Units of the probe beside it.
    probe_units: usize,
}

impl<'t> Burst<'t> {
    /// As many of `tokens` as the session's threads take [`AT_LEAST`] for, whole batches of a prompt and at least one;
    /// all of them, several times, where that is too short. A long burst meets a neighbour as surely as not, and what is
    /// far apart in time is no pair.
    fn fit(
        phase: Phase,
        tokens: &'t [Token],
        batch: usize,
        session: &mut Session<'_, '_>,
    ) -> Result<Self, whit::Error> {
        let step = if phase == Phase::Prefill { batch.min(tokens.len()) } else { 1 };
        let least = Self { phase, tokens: &tokens[..step], passes: 1, probe_units: 0 };
        least.run(session)?;
        let steps = AT_LEAST.as_secs_f64() / least.run(session)?.wall.max(1e-9);
        let fits = (steps as usize).max(1).saturating_mul(step).min(tokens.len());
        let burst = Self { tokens: &tokens[..fits], ..least };
        Ok(Self { passes: burst.run(session)?.passes(), ..burst })
    }

    fn run(&self, session: &mut Session<'_, '_>) -> Result<Run, whit::Error> {
        match self.phase {
            Phase::Prefill => runs::at_once(session, 0, self.tokens, self.passes),
            Phase::Decode => runs::one_by_one(session, 0, self.tokens, self.passes),
        }
    }

    fn count(&self) -> usize {
        self.tokens.len() * self.passes
    }
}

/// The burst that the first lane's threads take as long for as is wanted, and turns of it and of the probe.
fn measure<'t>(
    lanes: &mut [Lane<'_, '_>],
    phase: Phase,
    tokens: &'t [Token],
    options: &Options,
    probe: Option<&Probe<'_>>,
    sure: impl Fn(&Burst<'t>, &[Turn]) -> bool,
) -> Result<(Burst<'t>, Vec<Turn>), String> {
    let mut burst = Burst::fit(phase, tokens, options.batch, &mut lanes[0].session).map_err(message)?;
    for lane in &mut *lanes {
        burst.run(&mut lane.session).map_err(message)?;
    }
    let long = burst.run(&mut lanes[0].session).map_err(message)?.wall;
    burst.probe_units = probe.map_or(0, |probe| probe.units(lanes[0].pool, long));
    let (start, mut turns) = (Instant::now(), vec![]);
    loop {
        turns.push(turn(lanes, &burst, probe, turns.len() % 2 == 1).map_err(message)?);
        // Both orders as often, so that neither gains by being the first.
        let enough = turns.len() >= TURNS * options.repeats && turns.len() % 2 == 0;
        if enough && (start.elapsed() >= options.time_limit || sure(&burst, &turns)) {
            return Ok((burst, turns));
        }
    }
}

/// One turn of all numbers of threads, the last first if `backwards`.
fn turn(
    lanes: &mut [Lane<'_, '_>],
    burst: &Burst<'_>,
    probe: Option<&Probe<'_>>,
    backwards: bool,
) -> Result<Turn, whit::Error> {
    let mut turn = Turn::default();
    let mut one = |lane: &mut Lane<'_, '_>| -> Result<(), whit::Error> {
        turn.burst_ms.push(1e3 * burst.run(&mut lane.session)?.wall);
        turn.probe_ms.extend(probe.map(|probe| 1e3 * probe.seconds(lane.pool, burst.probe_units)));
        Ok(())
    };
    if backwards {
        lanes.iter_mut().rev().try_for_each(&mut one)?;
        turn.burst_ms.reverse();
        turn.probe_ms.reverse();
    } else {
        lanes.iter_mut().try_for_each(&mut one)?;
    }
    Ok(turn)
}
