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
    "ml-1m": {
        "HSTU-large (HSTU 2024; its own order of equal times)": (0.1893, 0.3294),
        "SASRec, softmax over 3,000 negatives (Turning Dross Into Gold Loss 2023)": (0.1857, 0.3159),
        "SASRec, softmax over the catalogue (Turning Dross Into Gold Loss 2023)": (0.1821, 0.3152),
        "eSASRec (2025; another preparation)": (0.1772, 0.3133),
        "gSASRec (2023)": (0.1726, 0.3003),
        "BERT4Rec (Turning Dross Into Gold Loss 2023)": (0.1537, 0.2843),
        "SASRec (Turning Dross Into Gold Loss 2023)": (0.1341, 0.2500),
    },
}
