//! Everything that can be proved about a file that holds a chain of integer layers.

use crate::arena::Arena;
use crate::verify::{Check, Status, check};
use whit::format::{IntegerFile, IntegerGolden, IntegerRole};
use whit::integer::{IntegerModel, Requantize};
use whit::kernels::Backend;

/// Checks the file in `bytes`, handing over every result as it is known. A file without structure has only that one.
pub fn verify(bytes: &[u8], mut each: impl FnMut(Check)) {
    let model = match IntegerModel::parse(bytes) {
        Ok(model) => model,
        Err(error) => return each(check("structure", Err(error.to_string()))),
    };
    let (file, tensors) = (model.file(), model.file().tensors.entries().count());
    each(check("structure", Ok(format!("{tensors} tensors; header and tables have the checksum stored"))));
    let payload = file.verify_payload().map(|()| "weights have the checksum stored".into());
    each(check("payload", payload.map_err(|error| error.to_string())));
    each(check("numbers", factors(file)));
    let Some(golden) = file.golden else {
        let detail = "the file has no golden record; `whit import` makes one".to_owned();
        return each(Check { name: "golden".into(), status: Status::Absent, detail });
    };
    for backend in Backend::available() {
        let name = format!("golden {}", backend.name());
        each(check(&name, golden_holds(&model.with_backend(backend), golden)));
    }
}

/// Names every tensor of factors that are not what they say: the runtime takes the nearest that is.
fn factors(file: &IntegerFile<'_>) -> Result<String, String> {
    let bad = |entry: whit::format::IntegerEntry| {
        let range = match entry.role {
            IntegerRole::Multipliers => 0..=i32::MAX,
            IntegerRole::Shifts => Requantize::LEAST_SHIFT..=Requantize::MOST_SHIFT,
            _ => return None,
        };
        let holds = file.tensors.vector(&entry).iter().all(|number| range.contains(number));
        (!holds).then(|| format!("`layers.{}.{}`", entry.layer, entry.role.name()))
    };
    let bad: Vec<_> = file.tensors.entries().filter_map(bad).collect();
    if bad.is_empty() {
        return Ok("all factors are in range".into());
    }
    Err(format!("out of range: {}; import the model again", bad.join(", ")))
}

fn golden_holds(model: &IntegerModel<'_>, golden: IntegerGolden) -> Result<String, String> {
    let mut arena = Arena::new(model.arena_size())?;
    let mut session = model.session(arena.bytes()).map_err(|error| error.to_string())?;
    let found = session.transcript(golden.frames);
    if found == golden {
        return Ok(format!("{} frames give the {} vectors recorded", golden.frames, golden.outputs));
    }
    Err(format!(
        "{} vectors with checksum {:08x} expected, {} with {:08x} found; the file is damaged, or this is a bug in whit",
        golden.outputs, golden.crc, found.outputs, found.crc
    ))
}
