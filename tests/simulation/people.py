"""The people of the simulated world, and how often they do what."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import KeytideError
from tests.simulation.database import RolledBack
from tests.simulation.editors import Editor
from tests.simulation.operators import Operator
from tests.simulation.strangers import Stranger


@dataclass
class People(Editor, Operator, Stranger):
    """What people can do."""

    def act(self) -> None:
        """Do one thing or another. Being refused is part of life."""
        rng = self.kernel.rng
        actions = list(self._actions())
        action = rng.choices([each for each, _ in actions], [weight for _, weight in actions])[0]
        self.kernel.note(action.__name__)
        try:
            action()
        except (KeytideError, RolledBack) as refused:
            self.kernel.note(f"is refused: {type(refused).__name__}")

    def _actions(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self.edit_secret, 28),
            (self.delete_secret, 12),
            (self.rename_secret, 5),
            (self.move_secret, 4),
            (self.change_mind, 5),
            (self.pause_or_resume, 7),
            (self.toggle_auto_sync, 4),
            (self.retarget, 7),
            (self.change_options, 5),
            (self.change_source, 2),
            (self.create_sync, 7),
            (self.delete_sync, 4),
            (self.trigger, 5),
            (self.approve, 4),
            (self.import_by_hand, 4),
            (self.remove_by_hand, 1),
            (self.add_import, 3),
            (self.drop_import, 2),
            (self.delete_folder, 2),
            (self.rename_folder, 2),
            (self.make_folders, 3),
            (self.write_by_hand, 8 * self.causes_drift),
            (self.delete_by_hand, 4 * self.causes_drift),
            (self.spoil_secret, 2 * self.causes_drift),
            (self.revoke_credentials, 2),
            (self.renew_credentials, 3),
            (self.refuse_key, 1),
        ]
