"""What hangs together in a configuration and cannot be told from the names of its sizes.

Each entry belongs to a ``model_type``, and says what the architecture's own check, or its first
forward pass, asks of sizes as small as those of ``configs``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any


_WINDOWS = {
    "patch_size": 2,  # four stages halve the 16 × 16 patches to 2 × 2
    "window_size": 2,
    "embed_dim": 16,
}
_LATENTS = {
    "num_latents": 8,
    "d_latents": 32,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 4,
    "max_position_embeddings": 12,  # the length of the text
    "num_cross_attention_heads": 1,  # the width of what is attended to follows from the input
}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_MAMBA_AND_BOTH = {
    "num_hidden_layers": 3,
    "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
    "attention_hidden_size": 64,  # twice the hidden size
    "attention_head_dim": 16,
}
_SHARED_KEYS = {
    "num_hidden_layers": 4,
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "intermediate_size": 64,
}
_FRAMES = {"max_source_positions": 16}
_GRANITE = {"downsample_rate": 2, "window_size": 4}
_LINEAR_AND_FULL = {"layer_types": ["linear_attention", "full_attention"]}

SIZES: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        # language
        "bailing_hybrid": {"layer_group_size": 2},  # the second layer is the full attention
        "blt": {"encoder_hash_byte_group_vocab": 99},
        "cohere_compass_text": {
            "rope_parameters": {"full_attention": {**_ROPE, "mrope_section": [2, 1, 1]}}
        },
        "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8}},  # without a default
        "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
        "encoder-decoder": {"decoder": {"is_decoder": True, "add_cross_attention": True}},
        "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16},
        "gemma3n_text": _SHARED_KEYS,
        "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
        "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
        "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
        "mistral4": {"head_dim": 16},  # the parts with and without rotation
        "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "chunk_size": 8},
        "neomme": {"head_dim": 16},  # a quarter of it is rotated, on two axes
        "perceiver": _LATENTS,
        "qwen3_5_text": _LINEAR_AND_FULL,
        "reformer": {
            "axial_pos_embds_dim": (16, 16),
            "axial_pos_shape": (3, 4),  # the length of the text
            "local_attn_chunk_length": 4,
            "lsh_attn_chunk_length": 4,
        },
        "xmod": {"default_language": "en_XX", "languages": ["en_XX"]},
        "zamba": _MAMBA_AND_BOTH,
        "zamba2": {**_MAMBA_AND_BOTH, "chunk_size": 8},
        "zaya": {"num_experts_per_tok": 1},  # no other is supported
        # documents: the width is split between the sides of a box, and their differences
        "bros": {"hidden_size": 64},  # a quarter of it is two angles for each side, of eight
        "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
        "lilt": {"hidden_size": 48},
        # images
        "convnext": {"patch_size": 2},
        "convnextv2": {"patch_size": 2},
        "cvt": {
            "embed_dim": (16, 16, 32),
            "num_heads": (1, 2, 2),
            "depth": (1, 2, 3),  # a stage's rate of dropped paths is read at its own number
        },
        "donut-swin": _WINDOWS,
        "efficientnet": {
            "width_coefficient": 0.25,
            "depth_coefficient": 0.1,
            "hidden_dim": 320,  # a quarter of the 1280 that the last convolution has
        },
        "hgnet_v2": {
            "stem_channels": (3, 8, 16),
            "stage_in_channels": (16, 16, 16, 32),
            "stage_mid_channels": (8, 8, 8, 8),
            "stage_out_channels": (16, 16, 32, 32),
            "stage_num_blocks": (1, 1, 1, 1),
            "stage_numb_of_layers": (2, 2, 2, 2),
        },
        "levit": {"image_size": 64, "patch_size": 16, "hidden_sizes": (32, 32, 32)},
        "mobilevitv2": {"image_size": 64, "width_multiplier": 0.25, "patch_size": 2},
        "pp_lcnet": {"scale": 0.25, "class_expand": 64},
        "swin": _WINDOWS,
        "swinv2": _WINDOWS,
        "textnet": {"image_size": 64, "stem_out_channels": 16},
        # sound
        "audio-spectrogram-transformer": {
            "max_length": 24,
            "num_mel_bins": 16,
            "frequency_stride": 8,
            "time_stride": 8,
        },
        "audioflamingo3_encoder": _FRAMES,
        "glmasr_encoder": {"intermediate_size": 128},  # four frames side by side
        "granite_speech": _GRANITE,
        "granite_speech_encoder": {"context_size": 8, "input_dim": 16},
        "granite_speech_plus": _GRANITE,
        "granite_speech_plus_encoder": {"context_size": 8, "input_dim": 16},
        "granite_speech5_encoder": {"context_size": 8},
        "moss_transcribe_diarize_audio": _FRAMES,
        "musicflamingo": {"audio_bos_token_id": 5, "audio_eos_token_id": 6},
        "nemotron3_diarization": {"head_config": {"audio_hidden_size": 32}},
        "phi4_multimodal_audio": {
            "num_blocks": 2,
            "nemo_conv_channels": 8,
            "ext_pw_out_channel": 32,
            "depthwise_separable_out_channel": 32,
        },
        "qwen2_audio_encoder": _FRAMES,
        "qwen3_asr_encoder": {
            "downsample_hidden_size": 16,
            "n_window_infer": 100,
            "output_dim": 32,
        },
        "vibevoice_acoustic_tokenizer_encoder": {
            "num_filters": 4,
            "downsampling_ratios": (2, 2),
            "depths": (1, 1, 1),
        },
        "voxtral": {"audio_token_id": 4},
        "voxtral_encoder": {**_FRAMES, "intermediate_size": 128},
    }
)
