"""What people are told: a notice on the page for an organisation, and a mail to its members where it matters."""
