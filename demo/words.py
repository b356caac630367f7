"""The vocabulary that the generated data is made of."""

from __future__ import annotations

FIRST_NAMES = (
    "Amara", "Anton", "Béatrice", "Bilal", "Carlos", "Chiara", "Daan", "Elif", "Émile", "Fatima", "Finn",
    "Giulia", "Hana", "Hugo", "Ingrid", "Ivan", "Jakub", "João", "Kaito", "Leïla", "Lena", "Maja", "Mateo",
    "Mehmet", "Nadia", "Noah", "Olu", "Paula", "Quinn", "Rosa", "Samir", "Søren", "Tomás", "Uma", "Vera",
    "Wim", "Yara", "Zoë", "Łukasz", "美咲", "Дмитрий", "نور",
)  # fmt: skip
LAST_NAMES = (
    "Abebe", "Ahmed", "Bauer", "Brown", "Çelik", "Costa", "Dubois", "Eriksson", "Fischer", "García",
    "Haddad", "Ivanova", "Jansen", "Kowalski", "Lefèvre", "Lindqvist", "Mensah", "Müller", "Nakamura",
    "Novák", "O'Brien", "Okafor", "Papadaki", "Quist", "Rossi", "Sánchez", "Schmidt", "Silva", "Tanaka",
    "Usman", "van den Berg", "Weber", "Yılmaz", "Zhang",
)  # fmt: skip
CITIES = (
    "Berlin", "Lisbon", "Kraków", "Marseille", "København", "Bologna", "Ghent", "Sevilla", "Graz", "Malmö",
)  # fmt: skip
ZONES = ("Europe/Berlin", "Europe/Lisbon", "Europe/Warsaw", "Europe/Paris", "Atlantic/Reykjavik")
LANGUAGES = ("en", "de", "fr", "pl", "pt", "sv", "tr", "ja")
DIETS = ("vegetarian", "vegan", "halal", "kosher", "gluten-free", "no nuts", "lactose-free")
STYLES = ("barn", "garden", "beach", "city hall", "castle", "vineyard", "festival")
COLOURS = ("sage", "ivory", "terracotta", "navy", "blush", "mustard", "lilac")
CATEGORIES = (
    "venue", "catering", "flowers", "music", "photography", "cake", "transport", "stationery",
    "hair & make-up",
)  # fmt: skip
SERVICES = (
    "set-up", "tear-down", "overnight", "tasting", "second shooter", "live band", "DJ", "late bar",
    "shuttle",
)  # fmt: skip
EVENTS = (
    ("ceremony", "The ceremony", 14, 1),
    ("dinner", "Dinner and speeches", 17, 4),
    ("party", "Party", 21, 6),
    ("brunch", "Brunch, the day after", 34, 3),
)
MEALS = ("menu 1", "menu 2", "vegetarian menu", "children's plate", "none")
MESSAGES = (
    "We wouldn't miss it!",
    "So sorry, we're abroad that week.",
    'Save us a dance — and "that" song.',
    "Can we bring the baby?",
    "Arriving late,\nplease start without us.",
    "Congratulations, dear both! 🎉",
    "",
)
TASKS = (
    "Book the venue", "Send invitations", "Choose the rings", "Taste the cake", "Write vows",
    "Final headcount",
)  # fmt: skip
DOCUMENTS = (
    "contract", "floor plan", "menu", "timeline", "insurance", "speech",
)  # fmt: skip
CLAUSES = (
    "The vendor provides the agreed services on the day at the place that this contract names. ",
    "A deposit is due at signing and is kept when the booking is cancelled within sixty days of the date. ",
    "Neither party is liable for rain, wind, late trains or the best man. ",
    "Guest numbers are final fourteen days ahead; each further guest is charged at the rate per head. ",
    "Leftover food may be taken home in containers that the couple brings. ",
    "Music ends when the venue's permit says so, at 02:00 at the latest. ",
)
ACTIONS = (
    "opened invitation", "changed budget", "viewed contract", "uploaded photo", "moved guest",
    "exported list",
)  # fmt: skip
SENSORS = ("hall", "tent", "kitchen", "dance floor", "wine cellar")
