"""Sizes that have to fit each other, by class: where small defaults alone make no tiny model."""

from __future__ import annotations

from typing import Any


_STAGES = {
    "embedding_size": 16,
    "hidden_sizes": [16, 16, 32, 32],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
_DECODER = {
    "model_type": "detr",
    "d_model": 32,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "num_queries": 6,
}
_LAST = {**_STAGES, "model_type": "resnet", "out_features": ["stage4"]}
_THREE = {**_STAGES, "model_type": "resnet", "out_features": ["stage2", "stage3", "stage4"]}
_FOUR = {**_THREE, "out_features": ["stage1", "stage2", "stage3", "stage4"]}
_SWIN = {
    "model_type": "swin",
    "image_size": 64,
    "embed_dim": 16,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 2,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
_DETR = {"backbone_config": _LAST, "num_queries": 6}
_RT_DETR = {
    "backbone_config": {**_THREE, "model_type": "rt_detr_resnet"},
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [16, 32, 32],
    "decoder_in_channels": [32, 32, 32],
    "num_queries": 6,
    "num_denoising": 4,
}
_HEAD = {"neck_hidden_sizes": [16, 16, 32, 32], "fusion_hidden_size": 16}
_POINTS = {"num_queries": 6, "train_num_points": 64}
_FORECAST = {
    "prediction_length": 4,
    "context_length": 8,
    "lags_sequence": [1, 2],
    "num_time_features": 2,
    "input_size": 1,
}
_PATCHES = {
    "context_length": 16,
    "prediction_length": 4,
    "num_input_channels": 2,
    "patch_length": 4,
}
_SPEAKERS = {"tdnn_dim": [16, 16, 16, 16, 32], "xvector_output_dim": 16}
_PREFIXED = {**_POINTS, "image_size": 64, "patch_size": 16, "num_blocks": 1}
_STAGED = {"patch_size": 2, "encoder_stride": 16, "window_size": 2, "num_layers": 4}
_OUTPUTS = {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}

_AXES = {"text_config": {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1]}}}
_ONE_TILE = {"image_grid_pinpoints": [[32, 32]]}

SIZES: dict[str, dict[str, Any]] = {
    "TimeSeriesTransformerForPrediction": _FORECAST,
    "InformerForPrediction": _FORECAST,
    "AutoformerForPrediction": {**_FORECAST, "label_length": 4, "moving_average": 3},
    **{
        f"PatchTS{kind}": {**_PATCHES, "patch_stride": 4, "num_targets": 3}
        for kind in (
            "TForPrediction",
            "TForPretraining",
            "TForRegression",
            "TForClassification",
            "MixerForPrediction",
            "MixerForPretraining",
            "MixerForRegression",
            "MixerForTimeSeriesClassification",
        )
    },
    "AlignModel": {
        "vision_config": {"width_coefficient": 0.1, "depth_coefficient": 0.1},
        "projection_dim": 32,
    },
    **{
        f"{name}ForXVector": _SPEAKERS
        for name in (
            "Data2VecAudio",
            "UniSpeechSat",
            "Wav2Vec2",
            "Wav2Vec2Bert",
            "Wav2Vec2Conformer",
            "WavLM",
        )
    },
    "SeamlessM4TForSpeechToText": {"speech_encoder_intermediate_size": 64},
    "SeamlessM4Tv2ForSpeechToText": {"speech_encoder_intermediate_size": 64},
    "FunAsrNanoForConditionalGeneration": {"adaptor_config": {"intermediate_size": 8}},
    "Blip2ForImageTextRetrieval": {"qformer_config": {"use_qformer_text_input": True}},
    "Blip2ForConditionalGeneration": {"image_token_index": 4},
    "InstructBlipForConditionalGeneration": {"image_token_index": 4},
    "Gemma3ForConditionalGeneration": {"mm_tokens_per_image": 4},
    "PaliGemmaForConditionalGeneration": {"projection_dim": 32},
    "VipLlavaForConditionalGeneration": {"vision_feature_layers": [0, 1]},
    "Cohere2VisionForConditionalGeneration": {"alignment_intermediate_size": 64},
    "LlavaNextForConditionalGeneration": _ONE_TILE,
    "LlavaNextVideoForConditionalGeneration": _ONE_TILE,
    "LlavaOnevisionForConditionalGeneration": _ONE_TILE,
    **{
        f"{name}ForConditionalGeneration": {
            **_AXES,
            "vision_config": {"out_hidden_size": 32, "hidden_size": 32, "embed_dim": 32},
            "video_token_id": 6,
        }
        for name in (
            "Qwen2VL",
            "Qwen2_5_VL",
            "Qwen3VL",
            "Qwen3VLMoe",
            "Qwen3_5",
            "Qwen3_5Moe",
            "Glm4v",
            "Glm4vMoe",
            "Glm46V",
            "GlmOcr",
            "Exaone4_5_",
        )
    },
    "XCLIPModel": {
        "vision_config": {
            "mit_hidden_size": 32,
            "mit_intermediate_size": 64,
            "mit_num_attention_heads": 4,
        },
        "projection_dim": 32,
        "prompt_num_attention_heads": 4,
    },
    "BridgeTowerForContrastiveLearning": {
        "hidden_size": 64,
        "contrastive_hidden_size": 32,
        "logit_scale_init_value": 2.6592,
        "text_config": {"hidden_size": 64},
        "vision_config": {"hidden_size": 64},
    },
    "ClapModel": {"audio_config": {"patch_embeds_hidden_size": 8, "hidden_size": 64}},
    "ConditionalDetrForObjectDetection": _DETR,
    "DabDetrForObjectDetection": _DETR,
    "DetrForObjectDetection": _DETR,
    "DetrForSegmentation": {
        **_DETR,
        "backbone_config": _FOUR,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
    },
    "TableTransformerForObjectDetection": _DETR,
    "DeformableDetrForObjectDetection": {
        "backbone_config": _THREE,
        "num_queries": 6,
        "disable_custom_kernels": True,
    },
    "DFineForObjectDetection": {**_RT_DETR, "decoder_n_points": [3, 6, 3]},
    "RfDetrForObjectDetection": {"num_queries": 2},
    "RfDetrForInstanceSegmentation": {"num_queries": 2},
    "LwDetrForObjectDetection": {
        "num_queries": 2,
        "backbone_config": {"image_size": 64, "num_windows": 4},
        "projector_scale_factors": [1.0],
    },
    "Deimv2ForObjectDetection": _RT_DETR,
    "RTDetrForObjectDetection": _RT_DETR,
    "RTDetrV2ForObjectDetection": _RT_DETR,
    "YolosForObjectDetection": {"image_size": [64, 64], "num_detection_tokens": 6},
    "MaskFormerForInstanceSegmentation": {
        "backbone_config": _SWIN,
        "decoder_config": _DECODER,
        "fpn_feature_size": 32,
        "mask_feature_size": 32,
    },
    "Mask2FormerForUniversalSegmentation": {
        **_POINTS,
        "backbone_config": _SWIN,
        "feature_size": 32,
        "mask_feature_size": 32,
        "encoder_feedforward_dim": 64,
        "dim_feedforward": 64,
    },
    "EomtForUniversalSegmentation": _PREFIXED,
    "EomtDinov3ForUniversalSegmentation": _PREFIXED,
    "BeitForSemanticSegmentation": {**_OUTPUTS, "image_size": 64, "patch_size": 16},
    "Data2VecVisionForSemanticSegmentation": {
        **_OUTPUTS,
        "image_size": 64,
        "patch_size": 16,
    },
    "UperNetForSemanticSegmentation": {"backbone_config": _FOUR},
    "DPTForSemanticSegmentation": {
        **_HEAD,
        "num_hidden_layers": 4,
        "backbone_out_indices": [0, 1, 2, 3],
    },
    "MobileViTV2ForSemanticSegmentation": {"aspp_out_channels": 16, "width_multiplier": 0.25},
    "DeiTForMaskedImageModeling": {"encoder_stride": 8},
    "ViTForMaskedImageModeling": {"encoder_stride": 8},
    "SwinForMaskedImageModeling": _STAGED,
    "Swinv2ForMaskedImageModeling": _STAGED,
    "ViTMAEForPreTraining": {
        "decoder_hidden_size": 32,
        "decoder_num_hidden_layers": 1,
        "decoder_intermediate_size": 64,
    },
    "HieraForPreTraining": {
        "image_size": [64, 64],
        "decoder_hidden_size": 32,
        "decoder_depth": 1,
        "decoder_num_heads": 2,
    },
    "VJEPA2ForVideoClassification": {
        "crop_size": 32,
        "frames_per_clip": 4,
        "pred_hidden_size": 32,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
    },
}
