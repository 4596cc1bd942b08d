"""The one table of models: what `restore` knows by name.

To add a model, add a `ModelSpec` here (docs/models.md says where each fact comes from). Upstream projects publish no
full hashes; those below were collected from independent registries that pin the same files, and `sha_confirmations`
says in how many of them each was seen.
"""

from __future__ import annotations

from restore.zoo.face_models import FACE_MODELS
from restore.zoo.spec import Licence, ModelSpec

_REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN"

BSD3_REAL_ESRGAN = Licence(
    id="BSD-3-Clause",
    summary="Use, change and share freely, commercially too, keeping the notice: Copyright (c) 2021, Xintao Wang.",
    url=f"{_REAL_ESRGAN}/blob/master/LICENSE",
)

MIT_OURS = Licence(
    id="MIT",
    summary="Trained by this project; use, change and share freely, commercially too, keeping the notice.",
    url="https://spdx.org/licenses/MIT.html",
)

_GTCRN = "https://github.com/Xiaobin-Rong/gtcrn"

MIT_GTCRN = Licence(
    id="MIT",
    summary="Use, change and share freely, commercially too, keeping the notice: Copyright (c) 2024 Rong Xiaobin.",
    url=f"{_GTCRN}/blob/main/LICENSE",
)

BSD2_ZHANG = Licence(
    id="BSD-2-Clause",
    summary="Use, change and share freely, commercially too, keeping the notice: Copyright (c) 2016, Richard Zhang,"
    " Phillip Isola, Alexei A. Efros.",
    url="https://github.com/richzhang/colorization/blob/master/LICENSE",
)

APACHE_DDCOLOR = Licence(
    id="Apache-2.0",
    summary="Use, change and share freely, commercially too, keeping the notices and saying what was changed.",
    url="https://github.com/piddnad/DDColor/blob/master/LICENSE",
)

_FACE_REAGING = "https://github.com/timroelofs123/face_reaging"

MIT_FACE_REAGING = Licence(
    id="MIT",
    summary="Use, change and share freely, commercially too, keeping the notice: Copyright (c) 2024 T.J.T. Roelofs.",
    url=f"{_FACE_REAGING}/blob/main/LICENSE",
)

_ZHANG = "https://colorizers.s3.us-east-2.amazonaws.com"
_DDCOLOR = "https://huggingface.co/piddnad"
_ONCE = "seen in one registry only: to be confirmed at the first real download"

_MODELS = (
    ModelSpec(
        id="reel-x2",
        title="Reel ×2",
        kind="upscale",
        purpose="The default: small, fast on a plain CPU, told how degraded the source is, and does not invent detail.",
        architecture="ReelUpscaler",
        licence=MIT_OURS,
        source="models/reel-x2/README.md",
        file_name="reel-x2.safetensors",
        scale=2,
        bundled=True,
    ),
    ModelSpec(
        id="reel-x4",
        title="Reel ×4",
        kind="upscale",
        purpose="The default for factors above 2: as Reel ×2.",
        architecture="ReelUpscaler",
        licence=MIT_OURS,
        source="models/reel-x4/README.md",
        file_name="reel-x4.safetensors",
        scale=4,
        bundled=True,
    ),
    ModelSpec(
        id="reel-degradation",
        title="Reel degradation estimate",
        kind="analysis",
        purpose="Measures how blurred, noisy and compressed a source is; the Reel networks are told.",
        architecture="DegradationNet",
        licence=MIT_OURS,
        source="models/reel-degradation/README.md",
        file_name="reel-degradation.safetensors",
        bundled=True,
    ),
    ModelSpec(
        id="retouch-marks",
        title="Damage of photographs",
        kind="analysis",
        purpose="Finds scratches, creases and specks in a single picture; takes some glints and wires for them.",
        architecture="MarkNet",
        licence=MIT_OURS,
        source="models/retouch-marks/README.md",
        file_name="retouch-marks.safetensors",
        bundled=True,
    ),
    ModelSpec(
        id="realesr-general-x4v3",
        title="Real-ESRGAN general ×4 v3 (compact)",
        kind="upscale",
        purpose="Sharp and fairly fast on real footage; smooths grain: --denoise-strength sets how much.",
        architecture="SRVGGNetCompact, 64 features, 32 convolutions",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="realesr-general-x4v3.pth",
        scale=4,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.2.5.0/realesr-general-x4v3.pth",),
        bytes=4_885_111,
        sha256="8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        sha_confirmations="the same in 10 independent registries",
        half_sha256="2f82b10309df0c5d31e543d85698c3d4c9dd7fc2fd55ff8b42377db7385d21f6",
        state_dict_key="params",
        blend_with="realesr-general-wdn-x4v3",
    ),
    ModelSpec(
        id="realesr-general-wdn-x4v3",
        title="Real-ESRGAN general ×4 v3, keeps noise",
        kind="companion",
        purpose="Blended into realesr-general-x4v3 for denoise strengths under 1; not used alone.",
        architecture="SRVGGNetCompact, 64 features, 32 convolutions",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="realesr-general-wdn-x4v3.pth",
        scale=4,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.2.5.0/realesr-general-wdn-x4v3.pth",),
        bytes=4_885_111,
        sha256="1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
        sha_confirmations="the same in 4 independent registries",
        half_sha256="3f0fbd8f8f27b5bd3a59e9675a2b0467a4144c48855111fe86b21f6e1931ba23",
        state_dict_key="params",
    ),
    ModelSpec(
        id="realesr-animevideov3",
        title="Real-ESRGAN anime video ×4 v3 (compact)",
        kind="upscale",
        purpose="Drawn film and animation: fast, clean lines. Flattens photographed texture.",
        architecture="SRVGGNetCompact, 64 features, 16 convolutions",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="realesr-animevideov3.pth",
        scale=4,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.2.5.0/realesr-animevideov3.pth",),
        bytes=2_504_012,
        sha256="b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
        sha_confirmations="the same in 3 independent registries",
        tensor_sha256="56a695588ba77814c5a602962b911e8d1e59881abea4f0d2f2bec19845ce1729",
        half_sha256="60d26aa62dac8e8eaa5e80c5b507ac3f5be1a37727b023a0c8ae3324e9e905be",
        state_dict_key="params",
    ),
    ModelSpec(
        id="RealESRGAN_x4plus",
        title="Real-ESRGAN ×4 plus",
        kind="upscale",
        purpose="Large and slow; photographs more than film. Invents convincing detail: not for evidence or archives.",
        architecture="RRDBNet, 64 features, 23 blocks",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="RealESRGAN_x4plus.pth",
        scale=4,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.1.0/RealESRGAN_x4plus.pth",),
        bytes=67_040_989,
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        sha_confirmations="the same in 10 independent registries",
        state_dict_key="params_ema",
    ),
    ModelSpec(
        id="RealESRGAN_x2plus",
        title="Real-ESRGAN ×2 plus",
        kind="upscale",
        purpose="As ×4 plus, for a factor of 2. Invents convincing detail: not for evidence or archives.",
        architecture="RRDBNet, 64 features, 23 blocks, pixel unshuffle 2",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="RealESRGAN_x2plus.pth",
        scale=2,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.2.1/RealESRGAN_x2plus.pth",),
        bytes=67_061_725,
        sha256="49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        sha_confirmations="the same in 2 independent registries",
        state_dict_key="params_ema",
    ),
    ModelSpec(
        id="RealESRNet_x4plus",
        title="Real-ESRNet ×4 plus",
        kind="upscale",
        purpose="×4 plus trained on pixel error alone: softer, invents less; the safer large network for archives.",
        architecture="RRDBNet, 64 features, 23 blocks",
        licence=BSD3_REAL_ESRGAN,
        source=_REAL_ESRGAN,
        file_name="RealESRNet_x4plus.pth",
        scale=4,
        urls=(f"{_REAL_ESRGAN}/releases/download/v0.1.1/RealESRNet_x4plus.pth",),
        bytes=67_040_989,
        sha256="a820b9bde89a874d7599d545567308ce6c128fc8754a53208eda016d40aa81df",
        sha_confirmations=_ONCE,
        state_dict_key="params_ema",
    ),
    ModelSpec(
        id="gtcrn-dns3",
        title="GTCRN, trained on DNS 3",
        kind="voice",
        purpose="Takes noise of all kinds from a voice, also what comes and goes; music and effects suffer.",
        architecture="GTCRN, 48 thousand weights, 16 kHz",
        licence=MIT_GTCRN,
        source=_GTCRN,
        file_name="gtcrn-dns3.tar",
        urls=(f"{_GTCRN}/raw/main/checkpoints/model_trained_on_dns3.tar",),
        bytes=579_819,
        sha256="a630d992cf792daf4ce2bb5bcf9c4d389f740a8f09c6e0971184697fe6371b79",
        sha_confirmations="taken from one copy: to be confirmed at the first real download",
        tensor_sha256="d86433a2157268a20d2bb131e283641e04b3c3d7516063b8437754c778a8dc4b",
        half_sha256="011c6e64ffd97dc02585d6d2f657f21bcaa0bc18d1841ce6a6728350579f2a01",
        state_dict_key="model",
    ),
    ModelSpec(
        id="gtcrn-vctk",
        title="GTCRN, trained on VCTK-DEMAND",
        kind="voice",
        purpose="As gtcrn-dns3, from cleaner recordings and fewer kinds of noise: gentler.",
        architecture="GTCRN, 48 thousand weights, 16 kHz",
        licence=MIT_GTCRN,
        source=_GTCRN,
        file_name="gtcrn-vctk.tar",
        urls=(f"{_GTCRN}/raw/main/checkpoints/model_trained_on_vctk.tar",),
        bytes=737_323,
        sha256="a0f0e04421d9fc1efe734d44191f5dc4b973ce59d6546af8d64ad9167e2a9944",
        sha_confirmations="taken from one copy: to be confirmed at the first real download",
        tensor_sha256="88372ffccd7d7bc58acb4d6dea756f018a8785b5da36391f0a31cb102cf93b59",
        half_sha256="f9f6b941af11b726ed9fbd3612e2adf86532318ab0f53394c8dff6e02def7386",
        state_dict_key="model",
    ),
    *FACE_MODELS,
    ModelSpec(
        id="reel-colorize",
        title="Reel colorize",
        kind="colorize",
        purpose="The default: small and fast; knows skin, sky and leaves, and stays quiet where it does not know.",
        architecture="ColorizeNet",
        licence=MIT_OURS,
        source="models/reel-colorize/README.md",
        file_name="reel-colorize.safetensors",
        bundled=True,
    ),
    ModelSpec(
        id="eccv16",
        title="Colorful image colorization",
        kind="colorize",
        purpose="Knows a million photographs; vivid, at times in blotches. Sees pictures at 256 pixels.",
        architecture="Eccv16",
        licence=BSD2_ZHANG,
        source="https://github.com/richzhang/colorization",
        file_name="colorization_release_v2-9b330a0b.pth",
        urls=(f"{_ZHANG}/colorization_release_v2-9b330a0b.pth",),
        sha256="9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
        sha_confirmations="its beginning is in the published file's name",
    ),
    ModelSpec(
        id="siggraph17",
        title="Real-time user-guided colorization",
        kind="colorize",
        purpose="Quieter than eccv16, and heeds hints itself. Sees pictures at 256 pixels.",
        architecture="Siggraph17",
        licence=BSD2_ZHANG,
        source="https://github.com/richzhang/colorization",
        file_name="siggraph17-df00044c.pth",
        urls=(f"{_ZHANG}/siggraph17-df00044c.pth",),
        sha256="df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
        sha_confirmations="its beginning is in the published file's name",
    ),
    ModelSpec(
        id="ddcolor",
        title="DDColor",
        kind="colorize",
        purpose="The strongest, large and slow: wants a graphics card. Invents convincing, loud colours.",
        architecture="DDColor, ConvNeXt-L",
        licence=APACHE_DDCOLOR,
        source=f"{_DDCOLOR}/ddcolor_modelscope",
        file_name="ddcolor_modelscope.bin",
        urls=(f"{_DDCOLOR}/ddcolor_modelscope/resolve/060f67494e31883a4b13cb27f889f3154847ada4/pytorch_model.bin",),
        bytes=911_914_869,
        sha256="d81711971ec59200da26d5e8a1afae8dd3778d495ea8ad7a7dadc769f403f7e7",
        sha_confirmations="the same in 2 independent registries",
        precisions=("float32", "bfloat16"),
    ),
    ModelSpec(
        id="ddcolor-artistic",
        title="DDColor artistic",
        kind="colorize",
        purpose="Another training of DDColor, for looks more than for truth; leaves some pictures half without colour.",
        architecture="DDColor, ConvNeXt-L",
        licence=APACHE_DDCOLOR,
        source=f"{_DDCOLOR}/ddcolor_artistic",
        file_name="ddcolor_artistic.bin",
        urls=(f"{_DDCOLOR}/ddcolor_artistic/resolve/aa10f72fffc89a6658e37b48556050b4d9a26f63/pytorch_model.bin",),
        bytes=911_914_869,
        sha256="5a076e84efce59848394f572a105f7b78f7f6e917f615d1ee88537241b96dca3",
        sha_confirmations=_ONCE,
        precisions=("float32", "bfloat16"),
    ),
    ModelSpec(
        id="fran",
        title="FRAN, open reproduction",
        kind="reage",
        purpose="Re-ages faces; learned from pictures that another network invented. Large: wants a graphics card."
        " No hash of it is known: bring the file.",
        architecture="ReagingUNet, 64 to 1024 features, 31 million weights",
        licence=MIT_FACE_REAGING,
        source="https://huggingface.co/timroelofs123/face_re-aging",
        file_name="best_unet_model.pth",
    ),
)

MODELS: dict[str, ModelSpec] = {spec.id: spec for spec in _MODELS}
