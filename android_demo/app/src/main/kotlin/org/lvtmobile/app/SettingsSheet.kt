package org.lvtmobile.app

import android.view.View
import android.widget.CheckBox
import android.widget.RadioButton
import android.widget.RadioGroup
import android.widget.SeekBar
import org.lvtmobile.core.Runtime

/** What the user can change in the [SettingsSheet]. */
interface SettingsActions {
    fun select(settings: RunSettings)

    fun compare(settings: RunSettings?)

    fun setDisplay(options: DisplayOptions)
}

/** The choice of model, runtime and threads, of the second model of a comparison, and the options of the picture. */
internal class SettingsSheet(
    private val ui: Ui,
    private val runtimes: List<Runtime>,
    private val actions: SettingsActions,
    onClose: () -> Unit,
) {
    private class Choice(val title: String, val details: String?, val selected: Boolean, val onSelect: () -> Unit)

    private val content = ui.column()
    private var shown: Any? = null

    val root: View = ui.card().apply {
        addView(panelHeader(ui, R.string.settings, onClose))
        addView(ui.scroll(content), linear(height = 0, weight = 1f))
    }

    /** Builds the choices anew only if they change, so that focus and scroll position stay. */
    fun bind(state: DemoState) {
        val visible = listOf(state.entries, state.settings, state.comparison, state.display.labels)
        if (visible == shown) return
        shown = visible
        content.removeAllViews()
        addModels(R.string.model, R.string.runtime, state.entries.orEmpty(), state.settings, actions::select)
        addThreads(state)
        state.comparison?.let { settings ->
            addModels(R.string.second_model, R.string.second_runtime, state.entries.orEmpty(), settings, actions::compare)
        }
        addDisplay(state.display)
    }

    private fun addModels(
        modelTitle: Int,
        runtimeTitle: Int,
        entries: List<ModelEntry>,
        settings: RunSettings,
        onSelect: (RunSettings) -> Unit,
    ) {
        val selected = settings.selectEntry(entries) ?: return
        addChoices(
            modelTitle,
            entries.map { entry ->
                Choice(entry.name, details(entry), entry == selected) { onSelect(settings.copy(model = entry.name)) }
            },
        )
        val runtime = settings.selectRuntime(selected, runtimes)
        addChoices(
            runtimeTitle,
            runtimes.filter { it.target == runtime?.target }.map {
                Choice(it.name, null, it == runtime) { onSelect(settings.copy(runtime = it.name)) }
            },
        )
    }

    private fun details(entry: ModelEntry): String = entry.manifest?.let {
        ui.context.getString(R.string.model_details, it.task.name.lowercase(), it.precision)
    } ?: ui.context.getString(R.string.model_unreadable)

    private fun addThreads(state: DemoState) {
        val cores = java.lang.Runtime.getRuntime().availableProcessors()
        addChoices(
            R.string.threads,
            threadCounts(cores).map { count ->
                Choice("$count", null, count == state.settings.threads) {
                    actions.select(state.settings.copy(threads = count))
                }
            },
        )
    }

    private fun addChoices(title: Int, choices: List<Choice>) {
        content.addView(ui.title(title))
        val group = RadioGroup(ui.context)
        for (choice in choices) {
            val button = RadioButton(ui.context).apply {
                id = View.generateViewId()
                minHeight = ui.touch
                text = listOfNotNull(choice.title, choice.details).joinToString("\n")
                setTextColor(ui.colour(R.color.text))
                isChecked = choice.selected
                textAlignment = View.TEXT_ALIGNMENT_VIEW_START
                setOnClickListener { choice.onSelect() } // the selected one too: it may have failed
            }
            group.addView(button, RadioGroup.LayoutParams(MATCH, WRAP))
        }
        content.addView(group, linear())
    }

    private fun addDisplay(options: DisplayOptions) {
        content.addView(ui.title(R.string.display))
        val label = ui.text().apply { setText(R.string.overlay_opacity) }
        val bar = SeekBar(ui.context).apply {
            id = View.generateViewId()
            max = OPACITY_STEPS
            progress = (OPACITY_STEPS * options.opacity).toInt()
            contentDescription = ui.context.getString(R.string.overlay_opacity)
            setOnSeekBarChangeListener(ProgressListener { actions.setDisplay(options.copy(opacity = it / OPACITY_STEPS.toFloat())) })
        }
        content.addView(label)
        content.addView(bar, linear(height = ui.touch))
        val labels = CheckBox(ui.context).apply {
            minHeight = ui.touch
            setText(R.string.labels)
            setTextColor(ui.colour(R.color.text))
            isChecked = options.labels
            setOnClickListener {
                actions.setDisplay(options.copy(opacity = bar.progress / OPACITY_STEPS.toFloat(), labels = isChecked))
            }
        }
        content.addView(labels, linear())
    }

    private companion object {
        const val OPACITY_STEPS = 20
    }
}

/** A seek bar listener for progress changes only. */
private class ProgressListener(private val onProgress: (Int) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) = onProgress(progress)

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = Unit
}
