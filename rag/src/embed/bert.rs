//! The BERT encoder (Devlin et al. 2018, arXiv:1810.04805) over candle's matrix products.
//!
//! Sequences of a batch are laid end to end as the rows of one matrix instead of being padded to one length:
//! the linear layers do not care where a text ends, and attention is done text by text. So nothing is computed
//! for padding, no mask is needed, and a text's embedding does not depend on its neighbours.
//!
//! Cost: 2 * parameters of the layers * tokens operations, plus 4 * width * tokens of the text for attention,
//! per token and layer. When not to use: models with relative positions, or with no BERT-shaped layers.

use candle_core::safetensors::SliceSafetensors;
use candle_core::{D, DType, Device, Result, Tensor, bail};

use super::directory::Config;
use super::fused::{AddBias, AddNorm, BiasGelu, Softmax};

/// The weights, ready to run.
pub(super) struct Bert {
    words: Tensor,
    /// Positions with the first token type already added: a single text has no other type.
    positions: Tensor,
    norm: AddNorm,
    /// No bias, gain, shift of the embeddings' norm.
    norm_rows: Tensor,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    /// Query, key and value side by side: one product instead of three. The query is already scaled.
    attend: Linear,
    gather: Linear,
    gather_norm: Tensor,
    widen: Linear,
    narrow: Linear,
    narrow_norm: Tensor,
}

/// `x * weight`, with a bias to be added by the step that follows.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Bert {
    /// Takes the weights out of a safetensors file, names with or without the prefix `bert.`.
    pub(super) fn load(config: &Config, file: &[u8]) -> Result<Self> {
        let weights = Weights::open(file)?;
        let width = config.hidden_size;
        let types =
            weights.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?;
        let positions = weights
            .tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, width])?;
        let no_bias = Tensor::zeros(width, DType::F32, &Device::Cpu)?;
        Ok(Self {
            words: weights.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, width])?,
            positions: positions.broadcast_add(&types.get(0)?)?,
            norm: AddNorm { epsilon: config.layer_norm_eps },
            norm_rows: weights.norm("embeddings.LayerNorm", no_bias, width)?,
            layers: (0..config.num_hidden_layers)
                .map(|at| Layer::load(&weights, at, config))
                .collect::<Result<_>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// The last hidden state of every token of every text: a row of `width` floats each, texts end to end.
    /// No text is empty or longer than the model's positions.
    pub(super) fn forward(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        let ids: Vec<u32> = texts.iter().flat_map(|text| text.iter().copied()).collect();
        let places: Vec<u32> = texts.iter().flat_map(|text| 0..text.len() as u32).collect();
        let count = ids.len();
        let mut x = self.words.index_select(&Tensor::from_vec(ids, count, &Device::Cpu)?, 0)?;
        let places = self.positions.index_select(&Tensor::from_vec(places, count, &Device::Cpu)?, 0)?;
        x.inplace_op3(&places, &self.norm_rows, &self.norm)?;
        for layer in &self.layers {
            x = self.step(layer, &x, texts)?;
        }
        x.flatten_all()?.to_vec1()
    }

    fn step(&self, layer: &Layer, x: &Tensor, texts: &[&[u32]]) -> Result<Tensor> {
        let attended = layer.attend.product(x)?;
        attended.inplace_op2(&layer.attend.bias, &AddBias)?;
        let gathered = layer.gather.product(&self.attention(&attended, texts)?)?;
        gathered.inplace_op3(x, &layer.gather_norm, &self.norm)?;
        let wide = layer.widen.product(&gathered)?;
        wide.inplace_op2(&layer.widen.bias, &BiasGelu)?;
        let narrowed = layer.narrow.product(&wide)?;
        narrowed.inplace_op3(&gathered, &layer.narrow_norm, &self.norm)?;
        Ok(narrowed)
    }

    /// Attention of each text to itself. `attended` is [tokens, 3 * width]; the answer is [tokens, width].
    fn attention(&self, attended: &Tensor, texts: &[&[u32]]) -> Result<Tensor> {
        let (tokens, triple) = attended.dims2()?;
        let (heads, width) = (self.heads, triple / 3);
        // A view: [3 * heads, tokens, width of a head], without moving an element.
        let parts = attended.reshape((tokens, 3 * heads, width / heads))?.transpose(0, 1)?;
        let mut start = 0;
        let mut rows = Vec::with_capacity(texts.len());
        for text in texts {
            let own = parts.narrow(1, start, text.len())?;
            let scores = own
                .narrow(0, 0, heads)?
                .matmul(&own.narrow(0, heads, heads)?.transpose(D::Minus1, D::Minus2)?)?;
            scores.inplace_op1(&Softmax)?;
            let mixed = scores.matmul(&own.narrow(0, 2 * heads, heads)?)?;
            rows.push(mixed.transpose(0, 1)?.reshape((text.len(), width))?);
            start += text.len();
        }
        Tensor::cat(&rows, 0)
    }
}

impl Layer {
    fn load(weights: &Weights<'_>, at: usize, config: &Config) -> Result<Self> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{at}.{part}");
        let (gather, gather_bias) = weights.linear(&name("attention.output.dense"), width, width)?;
        let (widen, widen_bias) = weights.linear(&name("intermediate.dense"), width, wide)?;
        let (narrow, narrow_bias) = weights.linear(&name("output.dense"), wide, width)?;
        Ok(Self {
            attend: Self::attend(weights, &name("attention.self"), config)?,
            gather_norm: weights.norm(&name("attention.output.LayerNorm"), gather_bias.clone(), width)?,
            gather: Linear { weight: gather, bias: gather_bias },
            widen: Linear { weight: widen, bias: widen_bias },
            narrow_norm: weights.norm(&name("output.LayerNorm"), narrow_bias.clone(), width)?,
            narrow: Linear { weight: narrow, bias: narrow_bias },
        })
    }

    fn attend(weights: &Weights<'_>, name: &str, config: &Config) -> Result<Linear> {
        let width = config.hidden_size;
        let scale = 1.0 / ((width / config.num_attention_heads) as f64).sqrt();
        let (query, query_bias) = weights.linear(&format!("{name}.query"), width, width)?;
        let (key, key_bias) = weights.linear(&format!("{name}.key"), width, width)?;
        let (value, value_bias) = weights.linear(&format!("{name}.value"), width, width)?;
        Ok(Linear {
            weight: Tensor::cat(&[(query * scale)?, key, value], 1)?,
            bias: Tensor::cat(&[(query_bias * scale)?, key_bias, value_bias], 0)?,
        })
    }
}

impl Linear {
    fn product(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight)
    }
}

/// A safetensors file whose tensors are asked for by name and shape.
struct Weights<'f> {
    file: SliceSafetensors<'f>,
    prefix: &'static str,
}

impl<'f> Weights<'f> {
    fn open(file: &'f [u8]) -> Result<Self> {
        let file = SliceSafetensors::new(file)?;
        let is_prefixed = file.tensors().iter().any(|(name, _)| name.starts_with("bert.embeddings."));
        Ok(Self { file, prefix: if is_prefixed { "bert." } else { "" } })
    }

    fn tensor(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let tensor = self.file.load(&format!("{}{name}", self.prefix), &Device::Cpu)?;
        if tensor.dims() != dims {
            bail!("`{name}` has the shape {:?}, config.json says {dims:?}", tensor.dims());
        }
        tensor.to_dtype(DType::F32)
    }

    /// Weight as [from, to], and bias.
    fn linear(&self, name: &str, from: usize, to: usize) -> Result<(Tensor, Tensor)> {
        let weight = self.tensor(&format!("{name}.weight"), &[to, from])?;
        Ok((weight.t()?.contiguous()?, self.tensor(&format!("{name}.bias"), &[to])?))
    }

    /// The three rows that [`AddNorm`] takes.
    fn norm(&self, name: &str, bias: Tensor, width: usize) -> Result<Tensor> {
        let gain = self.tensor(&format!("{name}.weight"), &[width])?;
        let shift = self.tensor(&format!("{name}.bias"), &[width])?;
        Tensor::stack(&[bias, gain, shift], 0)
    }
}
