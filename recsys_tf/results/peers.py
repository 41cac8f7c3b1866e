"""What others have published on the same sets by the same protocol: NDCG@10 and HR@10, and who says so."""

PUBLISHED = {
    "amazon-beauty-5core": {
        "SASRec, softmax over the catalogue (SCE)": (0.0544, 0.0935),
        "SASRec, 256 sampled negatives (eSASRec 2025)": (0.0531, 0.0921),
        "eSASRec (2025)": (0.0523, 0.0928),
        "DuoRec (eSASRec 2025)": (0.0443, 0.0845),
        "ActionPiece (eSASRec 2025)": (0.0424, 0.0775),
        "HSTU (eSASRec 2025)": (0.0389, 0.0704),
        "SASRec (S3-Rec 2020)": (0.0318, 0.0605),
    },
    "amazon-sports-5core": {
        "eSASRec (2025)": (0.0323, 0.0560),
        "SASRec, 256 sampled negatives (eSASRec 2025)": (0.0314, 0.0569),
        "ActionPiece (eSASRec 2025)": (0.0264, 0.0500),
        "DuoRec (eSASRec 2025)": (0.0262, 0.0498),
        "HSTU (eSASRec 2025)": (0.0215, 0.0414),
        "SASRec (S3-Rec 2020)": (0.0192, 0.0350),
    },
}
