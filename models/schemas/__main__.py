"""`python -m models.schemas`: write the JSON Schemas anew after a change of `models.messages`."""

from models.schemas import FOLDER, MESSAGES, write

if __name__ == "__main__":
    write()
    print(f"wrote {', '.join(MESSAGES)} to {FOLDER}")
