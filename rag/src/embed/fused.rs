//! The element-wise steps of a BERT layer, each one pass over memory.
//!
//! Stock candle spends most of an embedding outside the matrix products: a bias, an activation, a sum and a norm
//! are each a pass with a fresh allocation, and its `erf` is scalar. These steps work in place and are compiled
//! for the widest vector instructions of the processor at run time (`pulp`), with exactly rounded IEEE
//! operations only, so that every processor of one width gives the same bits.
//!
//! Invariant: tensors are contiguous, f32 and on the CPU; anything else is an error, not a wrong answer.
//! Accuracy: `exp` within 2e-7 relative; `gelu` within 5e-7 of the exact one (erf by Abramowitz and Stegun 7.1.26).

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, bail};
use pulp::Arch;

/// `x += bias`, for every row.
pub(super) struct AddBias;

/// `x = gelu(x + bias)`, for every row.
pub(super) struct BiasGelu;

/// `x = norm(x + residual + bias) * gain + shift`, for every row; bias, gain and shift are the rows of one tensor.
pub(super) struct AddNorm {
    /// Keeps the root of a tiny variance away from zero.
    pub(super) epsilon: f64,
}

/// `x = softmax(x)` along the last dimension.
pub(super) struct Softmax;

/// Partial results kept side by side, so that a sum needs no particular order and vectorises.
const LANES: usize = 16;

impl InplaceOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Result<()> {
        let (x, bias) = (floats_mut(x, x_at)?, floats(bias, bias_at)?);
        Arch::new().dispatch(|| add_bias(x, bias));
        Ok(())
    }
}

impl InplaceOp2 for BiasGelu {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Result<()> {
        let (x, bias) = (floats_mut(x, x_at)?, floats(bias, bias_at)?);
        Arch::new().dispatch(|| bias_gelu(x, bias));
        Ok(())
    }
}

impl InplaceOp3 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_at: &Layout,
        residual: &CpuStorage,
        residual_at: &Layout,
        rows: &CpuStorage,
        rows_at: &Layout,
    ) -> Result<()> {
        let (x, residual, rows) =
            (floats_mut(x, x_at)?, floats(residual, residual_at)?, floats(rows, rows_at)?);
        let width = rows.len() / 3;
        let (bias, rest) = rows.split_at(width);
        let (gain, shift) = rest.split_at(width);
        Arch::new().dispatch(|| add_norm(x, residual, [bias, gain, shift], self.epsilon as f32));
        Ok(())
    }
}

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_at: &Layout) -> Result<()> {
        let width = x_at.dims().last().copied().unwrap_or(1).max(1);
        let x = floats_mut(x, x_at)?;
        Arch::new().dispatch(|| x.chunks_exact_mut(width).for_each(softmax));
        Ok(())
    }
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("a fused step takes contiguous f32 tensors"),
    }
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("a fused step takes contiguous f32 tensors"),
    }
}

#[inline(always)]
fn add_bias(x: &mut [f32], bias: &[f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
    }
}

#[inline(always)]
fn bias_gelu(x: &mut [f32], bias: &[f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, bias)| *x = gelu(*x + bias));
    }
}

#[inline(always)]
fn add_norm(x: &mut [f32], residual: &[f32], [bias, gain, shift]: [&[f32]; 3], epsilon: f32) {
    let width = bias.len();
    for (row, residual) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        for ((x, residual), bias) in row.iter_mut().zip(residual).zip(bias) {
            *x += residual + bias;
        }
        let mean = sum(row, |x| x) / width as f32;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, gain), shift) in row.iter_mut().zip(gain).zip(shift) {
            *x = (*x - mean) * scale * gain + shift;
        }
    }
}

#[inline(always)]
fn softmax(row: &mut [f32]) {
    let most = most(row);
    row.iter_mut().for_each(|x| *x = exp(*x - most));
    let scale = 1.0 / sum(row, |x| x);
    row.iter_mut().for_each(|x| *x *= scale);
}

#[inline(always)]
fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, x)| *lane += term(*x));
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|x| term(*x)).sum::<f32>()
}

#[inline(always)]
fn most(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, x)| *lane = larger(*lane, *x));
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| larger(a, b))
}

/// `x * Phi(x)`, Phi the cumulative normal distribution.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series =
        ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    // The upper tail of the distribution beyond |x|: small differences stay small, unlike in 1 + erf.
    let tail = 0.5 * series * exp(-z * z);
    if x > 0.0 { x - x * tail } else { x * tail }
}

/// e^x by splitting x into a whole power of two and a rest within half of ln 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to a whole number and leaves that number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first with few enough bits that its product with `whole` is exact.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = 1.0 / 720.0 * rest + 1.0 / 120.0;
    let series = ((series * rest + 1.0 / 24.0) * rest + 1.0 / 6.0) * rest + 0.5;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    ((series * rest + 1.0) * rest + 1.0) * power
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn exp_and_gelu_agree_with_double_precision() {
        for step in -8_000..8_000_i32 {
            let x = f64::from(step) / 800.0;
            let e = f64::from(exp(x as f32));
            assert!((e - f64::from(x as f32).exp()).abs() <= 4e-7 * e, "exp({x}) = {e}");
            let g = f64::from(gelu(x as f32));
            assert!((g - gelu_exact(x)).abs() < 1e-6, "gelu({x}) = {g}, not {}", gelu_exact(x));
        }
        assert_eq!((exp(-1e30), exp(f32::NEG_INFINITY)), (exp(-87.0), exp(-87.0)));
        assert!(gelu(-40.0).abs() < 1e-30 && gelu(40.0) == 40.0 && gelu(f32::NAN).is_nan());
    }

    /// Phi by integrating the density (Simpson's rule), which shares nothing with the code under test.
    fn gelu_exact(x: f64) -> f64 {
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = x / 200.0;
        let inner = |i: i32| density(f64::from(i) * step) * if i % 2 == 0 { 2.0 } else { 4.0 };
        let integral = (density(0.0) + density(x) + (1..200).map(inner).sum::<f64>()) * step / 3.0;
        x * (0.5 + integral)
    }

    #[test]
    fn steps_agree_with_their_definitions() -> Result<()> {
        let width = 37;
        let make = |rows: usize| Tensor::rand(-3_f32, 3.0, (rows, width), &Device::Cpu);
        let (x, residual, rows) = (make(5)?, make(5)?, make(3)?);
        let (bias, gain, shift) = (rows.get(0)?, rows.get(1)?, rows.get(2)?);

        let total = x.add(&residual)?.broadcast_add(&bias)?;
        let centred = total.broadcast_sub(&total.mean_keepdim(1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?;
        let expected = centred.broadcast_div(&deviation)?.broadcast_mul(&gain)?.broadcast_add(&shift)?;
        let actual = x.copy()?;
        actual.inplace_op3(&residual, &rows, &AddNorm { epsilon: 1e-5 })?;
        assert_near(&actual, &expected)?;

        let actual = x.copy()?;
        actual.inplace_op2(&bias, &BiasGelu)?;
        assert_near(&actual, &x.broadcast_add(&bias)?.gelu_erf()?)?;
        actual.inplace_op2(&bias, &AddBias)?;
        assert_near(&actual, &x.broadcast_add(&bias)?.gelu_erf()?.broadcast_add(&bias)?)?;

        let actual = x.copy()?;
        actual.inplace_op1(&Softmax)?;
        let powers = x.exp()?;
        assert_near(&actual, &powers.broadcast_div(&powers.sum_keepdim(1)?)?)
    }

    fn assert_near(actual: &Tensor, expected: &Tensor) -> Result<()> {
        let off = (actual - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(off < 5e-6, "off by {off}");
        Ok(())
    }
}
