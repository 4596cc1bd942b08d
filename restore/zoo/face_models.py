"""The models of faces, for `restore.zoo.table`: what finds them, and what tells them apart."""

from __future__ import annotations

from restore.zoo.spec import KnownImpostor, Licence, ModelSpec

_OPENCV_ZOO = "https://github.com/opencv/opencv_zoo"

MIT_YUNET = Licence(
    id="MIT",
    summary="Use, change and share freely, commercially too, keeping the notice: Copyright (c) 2020 Shiqi Yu.",
    url=f"{_OPENCV_ZOO}/blob/main/models/face_detection_yunet/LICENSE",
)

APACHE_SFACE = Licence(
    id="Apache-2.0",
    summary="Use, change and share freely, commercially too, keeping the notices and saying what was changed.",
    url=f"{_OPENCV_ZOO}/blob/main/models/face_recognition_sface/LICENSE",
)

_FACEXLIB = "https://github.com/xinntao/facexlib"

MIT_RETINAFACE = Licence(
    id="MIT",
    summary="Use, change and share freely, commercially too, keeping the notices: Copyright (c) 2020 Xintao Wang, and "
    "(c) 2019 biubug6, who trained it.",
    url=f"{_FACEXLIB}/blob/master/LICENSE",
)

FACE_MODELS = (
    ModelSpec(
        id="yunet",
        title="YuNet, March 2023",
        kind="faces",
        purpose="Finds faces, turned ones too, with five points each; quick on a plain processor.",
        architecture="YuNet, ONNX, through OpenCV",
        licence=MIT_YUNET,
        source=f"{_OPENCV_ZOO}/tree/main/models/face_detection_yunet",
        file_name="face_detection_yunet_2023mar.onnx",
        urls=(f"{_OPENCV_ZOO}/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",),
        bytes=232_589,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        sha_confirmations="from the repository's own large-file pointer: to be confirmed at the first real download",
        precisions=("float32",),
    ),
    ModelSpec(
        id="sface",
        title="SFace, December 2021",
        kind="faces",
        purpose="Tells faces apart: groups one person's shots. Unsure of profiles and of faces under 50 pixels.",
        architecture="SFace, ONNX, through OpenCV",
        licence=APACHE_SFACE,
        source=f"{_OPENCV_ZOO}/tree/main/models/face_recognition_sface",
        file_name="face_recognition_sface_2021dec.onnx",
        urls=(f"{_OPENCV_ZOO}/raw/main/models/face_recognition_sface/face_recognition_sface_2021dec.onnx",),
        bytes=38_696_353,
        sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        sha_confirmations="from the repository's own large-file pointer: to be confirmed at the first real download",
        precisions=("float32",),
    ),
    ModelSpec(
        id="retinaface",
        title="RetinaFace mobile 0.25",
        kind="faces",
        purpose="Finds faces, turned and partly covered ones too, with five points each; needs facexlib. Slower than "
        "yunet, and knows larger faces.",
        architecture="RetinaFace, MobileNet 0.25, through facexlib",
        licence=MIT_RETINAFACE,
        source=_FACEXLIB,
        file_name="detection_mobilenet0.25_Final.pth",
        urls=(f"{_FACEXLIB}/releases/download/v0.1.0/detection_mobilenet0.25_Final.pth",),
        bytes=1_789_735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        sha_confirmations="the same in 8 independent registries",
        tensor_sha256="a2525e615748f9854b682896d747be5244026a4db22d18c6d2380d29e39dc90e",
        precisions=("float32",),
    ),
)

IMPOSTORS = (
    KnownImpostor(
        tensor_sha256="69d9a009034389f869190e1059f8dec82692ef29897b517bfaf92428fb3f3f37",
        pretends="RetinaFace mobile 0.25, facexlib's small face detector,",
        truth="another training of the same network, published as mobilenet0.25_Final.pth: it loads without complaint "
        "and returns wrong boxes",
    ),
)
