//! The published worked examples about energy. `energy.growth` compares growth rates, which nothing here computes.

use whit_converter::energy::record::Integral;
use whit_converter::energy::{Sample, kg_co2, tokens_per_charge};
use whit_tests::examples::{examples, number};

fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn energy_is_power_over_time() {
    let Some(examples) = examples("energy.per_token") else { return };
    for example in examples {
        let watts = Sample::Watts(number(&example["inputs"]["watts"]));
        let mut integral = Integral::default();
        integral.push(0.0, watts);
        integral.push(number(&example["inputs"]["seconds_per_token"]), watts);
        assert_eq!(integral.window().joules, number(&example["expected"]["joules"]));
    }
}

#[test]
fn carbon_dioxide_follows_from_the_grid() {
    let Some(examples) = examples("energy.carbon") else { return };
    for example in examples {
        let joules = number(&example["inputs"]["megawatt_hours"]) * 3.6e9;
        let found = kg_co2(joules, number(&example["expected"]["kg_per_kwh"]));
        assert_close(found, number(&example["inputs"]["tonnes"]) * 1e3, number(&example["tolerance"]));
    }
}

#[test]
fn a_battery_lasts_for_so_many_tokens() {
    let Some(examples) = examples("energy.battery") else { return };
    for example in examples {
        let wh = number(&example["inputs"]["battery_wh"]);
        let (joules, tolerance) =
            (number(&example["expected"]["joules_per_token"]), number(&example["tolerance"]));
        assert_close(
            tokens_per_charge(wh, joules),
            number(&example["expected"]["tokens_per_charge"]),
            tolerance,
        );
        let share = number(&example["inputs"]["percent"]) / 100.0;
        assert_close(tokens_per_charge(wh * share, joules), number(&example["inputs"]["tokens"]), tolerance);
    }
}
