"""What embeddings are kept under: a hash of all that they depend on."""

import hashlib


class KeySpace:
    """Makes the keys of sentences whose values have the rest in common.

    Args:
        fingerprint: SHA-256 of weights and options, `ElmoSource.fingerprint`.
        stored: What is stored of a sentence and how it was computed, such as ``pooled mean,max in bfloat16``.
        dtype: Type of the stored numbers.

    Call arguments:
        sentence: Space-joined tokens.

    Returns:
        32 bytes, the SHA-256 of all four; two keys are equal only where all four are.
    """

    def __init__(self, *, fingerprint: str, stored: str, dtype: str) -> None:
        self._digest = hashlib.sha256()
        for part in (fingerprint, stored, dtype):
            content = part.encode()
            # The length in front says where a part ends: "ab" and "c" are not "a" and "bc".
            self._digest.update(len(content).to_bytes(8, "little") + content)

    def __call__(self, sentence: str) -> bytes:
        """Returns the key of a sentence."""
        digest = self._digest.copy()  # what they have in common is hashed once
        digest.update(sentence.encode("utf-8", "surrogatepass"))
        return digest.digest()
