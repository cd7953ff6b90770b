# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come, there is an answer or an error of ours, soon and in little room."""
