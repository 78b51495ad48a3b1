//! What the published vectors lack: saturation, clips, every table index, ties, tails, splits, streams, states.

use crate::made_up::{Packed, bytes, expected, layer};
use crate::reference::{Layer, Seen, State};
use whit::integer::Order;
use whit::kernels::Backend;
use whit::sampler::Random;

/// Runs `layer` from `state` on every backend; returns what the reference saw.
fn agrees(layer: &Layer, state: &State, input: &[i8], name: &str) -> Seen {
    let (mut seen, mut end) = (Seen::default(), state.clone());
    let expected = expected(layer, &mut end, input, &mut seen);
    for backend in Backend::available() {
        let mut states = [state.clone()];
        let found = Packed::new(layer).run(backend, Order::TimeMajor, &mut states, input);
        assert_eq!(found, expected, "{name}, {}", backend.name());
        assert_eq!(states[0], end, "{name}, {}", backend.name());
    }
    seen
}

/// A state that no stream starts from.
fn somewhere(layer: &Layer, random: &mut Random) -> State {
    State {
        hidden: bytes(random, layer.hidden),
        cell: (0..layer.hidden).map(|_| (random.next_u32() >> 16) as i16).collect(),
    }
}

#[test]
fn every_tail_width_agrees() {
    // One, parts of a step of four columns and of a block of 16 rows, whole ones, one more.
    for inputs in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33] {
        for hidden in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33] {
            let layer = layer(inputs, hidden, (inputs * 64 + hidden) as u64);
            let input = bytes(&mut Random::new(9), 6 * inputs);
            agrees(&layer, &layer.start(), &input, &format!("{inputs} × {hidden}"));
        }
    }
}

#[test]
fn saturated_gates_agree() {
    let mut layer = layer(19, 6, 5);
    let extreme =
        |weights: &mut Vec<i8>| weights.iter_mut().for_each(|w| *w = if *w < 0 { -127 } else { 127 });
    layer.input_weights.iter_mut().for_each(extreme);
    layer.hidden_weights.iter_mut().for_each(extreme);
    layer.factors = [[(i32::MAX, 1), (i32::MAX, 2)]; 4];
    let mut random = Random::new(3);
    let input: Vec<i8> =
        bytes(&mut random, 19 * 40).iter().map(|&x| if x < 0 { -128 } else { 127 }).collect();
    let seen = agrees(&layer, &somewhere(&layer, &mut random), &input, "saturated");
    assert!(seen.saturated.iter().all(|&count| count > 50), "{:?}", seen.saturated);
}

#[test]
fn a_sum_beyond_16_bits_is_not_cut_before_it_is_added() {
    // −20,000 from the input and 40,000 from the state are 20,000, not 12,767.
    let mut layer = layer(1, 1, 1);
    layer.input_weights = [(); 4].map(|()| vec![-100]);
    layer.hidden_weights = [(); 4].map(|()| vec![100]);
    layer.bias = [(); 4].map(|()| vec![0]);
    (layer.input_zero_point, layer.zero_point) = (0, 0);
    layer.factors = [[(1 << 30, 2), (1 << 30, 3)]; 4];
    let state = State { hidden: vec![100], cell: vec![-3000] };
    agrees(&layer, &state, &[100, 0, 50, -100], "beyond");
}

#[test]
fn a_clipped_cell_agrees() {
    let mut random = Random::new(8);
    for clip in [1, 700, 20_000, 32_767] {
        let mut layer = layer(7, 9, 21);
        layer.cell_clip = clip;
        let state = somewhere(&layer, &mut random);
        let seen = agrees(&layer, &state, &bytes(&mut random, 7 * 60), &format!("clip {clip}"));
        assert!(clip > 20_000 || seen.clipped.iter().all(|&count| count > 0), "{clip}: {:?}", seen.clipped);
    }
}

#[test]
fn every_index_of_the_table_agrees() {
    // A unit for each interval and sign: all gates are its bias, 171 units of Q3.12 apart.
    let intervals: Vec<i32> = (-256..256).map(|i| (i * 512 + 256) / 3).collect();
    let hidden = intervals.len();
    let mut layer = layer(1, hidden, 2);
    layer.bias = [(); 4].map(|()| intervals.clone());
    layer.input_weights = [(); 4].map(|()| vec![1; hidden]);
    layer.hidden_weights = [(); 4].map(|()| vec![0; hidden * hidden]);
    layer.factors = [[(1 << 30, 1); 2]; 4];
    (layer.input_zero_point, layer.zero_point) = (0, 0);
    // tanh takes the cell gate itself, two intervals at a time, and the cell with its own scale.
    let seen = agrees(&layer, &layer.start(), &[0, 85, -85, 43, -43], "table");
    let all: Vec<i64> = (0..256).collect();
    for (name, indices) in [("sigmoid", seen.sigmoid), ("tanh", seen.tanh)] {
        for (sign, indices) in indices.iter().enumerate() {
            // Sigmoid of an i16 ends at index 191: 3 · 2¹⁵ / 2⁹.
            let expected = if name == "sigmoid" { &all[..192] } else { &all[..] };
            let missing: Vec<_> = expected.iter().filter(|index| !indices.contains(index)).collect();
            assert!(missing.is_empty(), "{name}, sign {sign}: {missing:?}");
        }
    }
}

#[test]
fn ties_agree() {
    let mut layer = layer(4, 12, 77);
    // Powers of two: every other sum lies in the middle.
    layer.factors = [[(1 << 30, -1), (1 << 30, -2)]; 4];
    layer.output = (1 << 30, -21);
    let mut random = Random::new(4);
    let seen = agrees(&layer, &somewhere(&layer, &mut random), &bytes(&mut random, 4 * 50), "ties");
    assert!(seen.ties.iter().all(|&count| count > 100), "{:?}", seen.ties);
}

#[test]
fn any_split_of_the_steps_is_one_call() {
    let layer = layer(5, 18, 6);
    let mut random = Random::new(5);
    let (input, start) = (bytes(&mut random, 5 * 17), somewhere(&layer, &mut random));
    let backend = Backend::detect();
    let packed = Packed::new(&layer);
    let mut whole = [start.clone()];
    let expected = packed.run(backend, Order::BatchMajor, &mut whole, &input);
    for split in [1, 2, 3, 5, 16] {
        let mut states = [start.clone()];
        let parts =
            input.chunks(5 * split).map(|part| packed.run(backend, Order::BatchMajor, &mut states, part));
        assert_eq!(parts.collect::<Vec<_>>().concat(), expected, "{split} steps at a time");
        assert_eq!(states, whole);
    }
}

#[test]
fn streams_do_not_see_each_other_in_either_order() {
    let (batch, steps) = (3, 7);
    let layer = layer(6, 10, 12);
    let mut random = Random::new(6);
    let inputs: Vec<Vec<i8>> = (0..batch).map(|_| bytes(&mut random, 6 * steps)).collect();
    let starts: Vec<State> = (0..batch).map(|_| somewhere(&layer, &mut random)).collect();
    let alone: Vec<Vec<i8>> = (0..batch)
        .map(|b| expected(&layer, &mut starts[b].clone(), &inputs[b], &mut Seen::default()))
        .collect();
    let interleave = |streams: &[Vec<i8>], width: usize| -> Vec<i8> {
        (0..steps).flat_map(|t| streams.iter().flat_map(move |s| s[t * width..][..width].to_vec())).collect()
    };
    for (order, input, output) in [
        (Order::BatchMajor, inputs.concat(), alone.concat()),
        (Order::TimeMajor, interleave(&inputs, 6), interleave(&alone, 10)),
    ] {
        let found = Packed::new(&layer).run(Backend::detect(), order, &mut starts.clone(), &input);
        assert_eq!(found, output, "{order:?}");
    }
}
