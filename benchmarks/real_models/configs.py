"""Tiny configurations of the architectures in ``transformers``, made from their defaults.

A configuration keeps every default but its sizes: the same layers in the same order, a few units
wide. Nothing is downloaded.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks.real_models import architectures


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


VOCABULARY = 99
WORDS = (10, 90)  # the ids of ordinary tokens; those below and above are special
_HIDDEN, _HEADS, _LAYERS, _WIDE = 32, 4, 2, 64

_NAMES = (
    (
        _HIDDEN,
        """hidden_size d_model n_embd dim embed_dim embedding_size word_embed_proj_dim
        attention_hidden_size encoder_hidden_size lru_width emb_dim conv_dim kv_channels
        codebook_dim classifier_proj_size rnn_hidden_size hidden_dim d_embed model_dim
        image_size input_size d_model_size linear_hidden_size pooler_hidden_size
        hidden_size_global""",
    ),
    (
        _HEADS,
        """num_attention_heads n_head n_heads num_heads encoder_attention_heads
        decoder_attention_heads num_encoder_attention_heads num_decoder_attention_heads
        linear_num_key_heads linear_num_value_heads attention_heads index_n_heads
        num_experts num_local_experts n_routed_experts moe_num_experts encoder_num_heads
        num_attention_heads_in_group decoder_num_heads mamba_n_heads linear_num_heads""",
    ),
    (
        _LAYERS,
        """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers
        num_encoder_layers num_decoder_layers num_conv_pos_embedding_groups num_key_value_heads
        num_experts_per_tok num_experts_per_token moe_topk moe_top_k moe_k top_k_experts depth
        num_adapter_layers n_kv_heads num_kv_heads mask_time_length mask_feature_length""",
    ),
    (
        _WIDE,
        """intermediate_size d_ff d_inner n_inner ffn_dim encoder_ffn_dim decoder_ffn_dim
        ffn_hidden_size n_positions max_encoder_position_embeddings max_decoder_position_embeddings
        max_position_embeddings max_seq_len max_sequence_length
        shared_expert_intermediate_size moe_intermediate_size expert_ffn_hidden_size
        moe_shared_expert_intermediate_size n_ctx max_source_positions max_target_positions
        intermediate_size_mlp prefix_intermediate_size dense_intermediate_size dff dim_ff
        mlp_dim classifier_hidden_size""",
    ),
    (
        8,
        """num_groups head_dim d_kv qk_nope_head_dim qk_rope_head_dim v_head_dim attention_head_dim
        attention_head_size linear_key_head_dim linear_value_head_dim linear_head_dim
        sliding_window state_size local_attention index_head_dim attention_window_size
        attention_chunk_size d_head mamba_d_state ssm_state_size rotary_dim global_head_dim
        patch_size mamba_chunk_size attention_window""",
    ),
    (
        16,
        """q_lora_rank kv_lora_rank num_buckets hidden_size_per_layer_input
        num_conv_pos_embeddings time_step_rank mamba_dt_rank index_topk mamba_d_head""",
    ),
    (
        1,
        """n_group num_expert_group topk_group first_k_dense_replace n_shared_experts
        num_shared_experts""",
    ),
    (
        VOCABULARY,
        """vocab_size vocab_size_per_layer_input shape_vocab_size pronunciation_vocab_size
        entity_vocab_size src_vocab_size tgt_vocab_size""",
    ),
)
TINY = {name: size for size, names in _NAMES for name in names.split()}
_OFTEN_NONE = {"vocab_size", "head_dim", "num_key_value_heads", "num_experts_per_tok"}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 3}


def tiny(
    kind: Any, switches: Iterable[str] = (), sizes: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """Return a tiny configuration of this class, with those of the switches on that it has.

    Args:
        kind: The class.
        switches: Names of what is true or false.
        sizes: What is not small by itself, as deep as the configuration is nested.
    """
    default = kind().to_dict()
    on = {name: True for name in switches if name in default}
    config = kind(**merged(_sizes(kind), {**on, **sizes}))
    config.use_cache = False
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = _TOKENS["pad_token_id"]
    config._experts_implementation = "eager"  # noqa: SLF001 - the fused one knows no float64
    return config


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return both; where they meet the second is right, whole if it is a part with its type."""
    both = dict(one)
    for name, value in other.items():
        inner = isinstance(value, dict) and "model_type" not in value and name in one
        both[name] = merged(one[name], value) if inner else value
    return both


def _sizes(kind: Any) -> dict[str, Any]:
    default = kind()
    values = default.to_dict()
    sizes = {name: _size(name, value) for name, value in values.items()}
    chosen = {name: value for name, value in sizes.items() if value is not None}
    if _heads(default, values, "num_key_value_heads") == _heads(default, values):
        chosen["num_key_value_heads"] = _HEADS
    for name in getattr(kind, "sub_configs", {}):
        part: Any = type(getattr(default, name, None))
        if hasattr(part, "sub_configs"):
            chosen[name] = {**_sizes(part), "model_type": part.model_type}
    return merged(chosen, architectures.SIZES.get(kind.model_type, {}))


def _heads(default: Any, values: Mapping[str, Any], name: str = "num_attention_heads") -> Any:
    """Return a number of heads: what is stored, or what the class calls so by another name."""
    return values[name] if name in values else getattr(default, name, name)


def _size(name: str, value: Any) -> Any:
    """Return a small value for a size; None to keep the default."""
    if name.endswith(("_token_id", "_token_index")):
        return _TOKENS.get(name, 4) if isinstance(value, (int, list)) or name in _TOKENS else None
    if value is None:
        return TINY[name] if name in _OFTEN_NONE else None
    if isinstance(value, bool):
        return None
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, int) for each in value):
        return _sizes_of_stages(name, value)
    return TINY.get(name) if isinstance(value, int) else None


def _sizes_of_stages(name: str, value: Any) -> Any:
    if "depth" in name or name == "layers":
        return [1] * len(value)
    if name in {"num_heads", "num_attention_heads"}:
        return [_LAYERS] * len(value)
    if "hidden_sizes" in name or name in {"embed_dims", "neck_hidden_sizes", "encoder_channels"}:
        return [16 * 2 ** (i // 2) for i in range(len(value))]
    if name == "conv_dim":
        return [_HIDDEN] * len(value)
    return None
