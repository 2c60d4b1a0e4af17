"""Which addresses are ours: those of an account's identities, with or without `+`, and its return-path domains."""

from collections.abc import Callable, Mapping

from shared.mail import address
from shared.runtime.configuration import Account


class Ours:
    """Answers for the accounts there are at the moment; what was computed is kept until they change."""

    def __init__(self, accounts: Callable[[], Mapping[str, Account]]) -> None:
        self._accounts = accounts
        self._known: Mapping[str, Account] = {}
        self._addresses: set[str] = set()
        self._domains: set[str] = set()

    def has(self, text: str) -> bool:
        """Say whether mail for this address is for us."""
        self._learn()
        try:
            wanted = address.normalised(text)
        except address.AddressError:
            return False
        local, _, domain = wanted.rpartition("@")
        return domain in self._domains or f"{local.partition('+')[0]}@{domain}" in self._addresses

    def _learn(self) -> None:
        accounts = self._accounts()
        if accounts == self._known:
            return
        self._known = accounts
        self._addresses = {
            address.normalised(identity.address)
            for account in accounts.values()
            for identity in account.identities
        }
        self._domains = {
            account.return_path_domain.lower() for account in accounts.values() if account.return_path_domain
        }
