"""The report's figures: seaborn plots of tables, with titles that say the finding and units on the axes."""
