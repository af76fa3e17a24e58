package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.provider.Settings
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import java.io.IOException
import kotlin.concurrent.thread

/**
 * The one screen: the camera or a photo, with what the chosen model says of it.
 *
 * This class only joins the parts; the camera and the model have threads of their own. The manifest
 * keeps the activity alive when the phone is turned.
 */
class MainActivity : Activity() {
    private lateinit var screen: Screen
    private lateinit var camera: Camera
    private lateinit var inference: Inference
    private lateinit var memory: Memory

    private var network: Size? = null // of the loaded model; null while there is none
    @Volatile private var photo: Frame? = null // in place of the camera
    private var photoUri: Uri? = null // where it came from
    @Volatile private var paused = false
    private var inFront = false
    private var asked = false // for the camera, since the app started
    private var figures = ""

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        screen = Screen(this)
        setContentView(screen.root)
        memory = Memory(this)
        inference = Inference(RUNTIMES, Answers())
        camera = Camera(
            this,
            onFrame = {
                if (!paused) screen.frames.show(it)
                inference.offer(it)
            },
            onProblem = { line -> ifAlive { screen.message(line, "Try again", ::refresh) } },
        )
        screen.pause.setOnClickListener { togglePause() }
        screen.photo.setOnClickListener { pickPhoto() }
        screen.model.setOnClickListener { chooseModel() }
        screen.runtime.setOnClickListener { chooseRuntime() }
        screen.threads.setOnClickListener { chooseThreads() }
        screen.share.setOnClickListener { share() }
        load()
        savedInstanceState?.getString(PHOTO)?.let { read(Uri.parse(it)) }
    }

    /** For when Android makes the activity anew: after a change of language, or for want of memory. */
    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(PHOTO, photoUri?.toString())
    }

    override fun onResume() {
        super.onResume()
        inFront = true
        refresh()
    }

    override fun onPause() {
        inFront = false
        camera.stop()
        super.onPause()
    }

    override fun onDestroy() {
        camera.close()
        inference.close()
        super.onDestroy()
    }

    /** Starts or stops the camera, as model, permission and buttons have it, and says what is missing. */
    private fun refresh() {
        label()
        val size = network
        val live = inFront && size != null && photo == null && !paused
        screen.root.keepScreenOn = live
        if (!live) return camera.stop()
        when {
            checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED -> {
                screen.hideMessage()
                camera.start(size)
            }
            !asked -> askForCamera()
            shouldShowRequestPermissionRationale(Manifest.permission.CAMERA) ->
                screen.message(NO_CAMERA, "Allow the camera", ::askForCamera)
            else -> screen.message(NO_CAMERA, "Open settings", ::openSettings)
        }
    }

    private fun goOn() {
        screen.hideMessage()
        refresh()
    }

    private fun label() {
        screen.pause.text = if (photo != null) "Camera" else if (paused) "Resume" else "Pause"
    }

    private fun askForCamera() {
        asked = true
        requestPermissions(arrayOf(Manifest.permission.CAMERA), CAMERA_REQUEST)
    }

    /** On the way back [onResume] looks at the permission anew. */
    private fun openSettings() =
        startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null)))

    override fun onRequestPermissionsResult(requestCode: Int, permissions: Array<String>, grantResults: IntArray) =
        refresh()

    private fun load() {
        network = null
        paused = false
        camera.stop()
        screen.frames.clear()
        screen.figures("")
        withItems(::load)
    }

    private fun load(items: List<ShelfItem>) {
        val item = memory.choice.item(items)
        if (item == null) {
            screen.title("no model")
            screen.message(
                "There is no model on this device. Push an exported file with its manifest:\n" +
                    "adb push model.onnx model.onnx.json ${modelFolders().first()}",
                "Look again",
                ::load,
            )
        } else {
            inference.load(item, memory.choice)
        }
    }

    /** Called on the model's thread; views hear of it on their own. */
    private inner class Answers : Inference.Listener {
        override fun loading(item: ShelfItem) = ifAlive {
            screen.title(item.name)
            screen.message("Loading and checking ${item.name} …")
        }

        override fun ready(model: Inference.Loaded) = ifAlive {
            network = model.size
            screen.title(model.title)
            screen.hideMessage()
            photo?.let(inference::show)
            refresh()
        }

        override fun answered(frame: Frame, overlay: Overlay, clock: String) {
            val still = photo
            if (still != null && frame !== still) return // a last frame of the camera
            if (still != null || paused) screen.frames.show(frame) // the very picture that was analysed
            screen.frames.lay(overlay)
            val lines = (overlay.lines + clock).joinToString("\n")
            val segments = (overlay.lines + overlay.anchors.map { it.text }).joinToString()
            ifAlive {
                screen.description(segments)
                if (paused) camera.stop()
                figures = lines
                screen.figures(lines)
            }
        }

        override fun failed(message: String) = ifAlive {
            network = null
            camera.stop()
            screen.frames.clear()
            screen.message(message, "Choose a model", ::chooseModel)
        }
    }

    /** To pause, the camera runs on until the next answer, so that frame and overlay belong together. */
    private fun togglePause() {
        if (photo != null) {
            photo = null
            photoUri = null
            paused = false
            screen.frames.clear()
        } else {
            paused = !paused
        }
        if (paused) label() else refresh()
    }

    private fun chooseModel() = withItems { items ->
        val current = items.indexOf(memory.choice.item(items))
        choose("Model", items.map { it.title }, current) { memory.choice = memory.choice.copy(model = items[it].name) }
    }

    private fun chooseRuntime() = withItems { items ->
        val target = memory.choice.item(items)?.manifest?.target
        val fitting = RUNTIMES.filter { it.target == target }
        val current = fitting.indexOfFirst { it.name == memory.choice.runtime }.coerceAtLeast(0)
        choose("Runtime", fitting.map { it.name }, current) {
            memory.choice = memory.choice.copy(runtime = fitting[it].name)
        }
    }

    private fun chooseThreads() {
        val counts = threadCounts(Runtime.getRuntime().availableProcessors())
        choose("Threads", counts.map { "$it" }, counts.indexOf(memory.choice.threads)) {
            memory.choice = memory.choice.copy(threads = counts[it])
        }
    }

    private fun choose(title: String, lines: List<String>, current: Int, chosen: (Int) -> Unit) {
        if (lines.isEmpty()) return load()
        AlertDialog.Builder(this)
            .setTitle(title)
            .setSingleChoiceItems(lines.toTypedArray(), current) { dialog, which ->
                dialog.dismiss()
                chosen(which)
                load()
            }
            .show()
    }

    private fun pickPhoto() {
        val pick = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        start(pick) { startActivityForResult(it, PHOTO_REQUEST) }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data
        if (requestCode == PHOTO_REQUEST && resultCode == RESULT_OK && uri != null) read(uri)
    }

    private fun read(uri: Uri) {
        thread(name = "photo") {
            try {
                val frame = readPhoto(contentResolver, uri)
                ifAlive { showPhoto(frame, uri) }
            } catch (error: UserError) {
                ifAlive { screen.message(error.message.orEmpty(), "Choose another", ::pickPhoto) }
            } catch (_: OutOfMemoryError) {
                ifAlive { screen.message("this picture is too large for this device", "Choose another", ::pickPhoto) }
            }
        }
    }

    private fun showPhoto(frame: Frame, uri: Uri) {
        photo = frame
        photoUri = uri
        camera.stop()
        screen.frames.clear()
        screen.frames.show(frame)
        if (network != null) screen.hideMessage()
        inference.show(frame)
        refresh()
    }

    private fun share() {
        val picture = screen.frames.snapshot() ?: return
        val text = figures
        thread(name = "share") {
            try {
                val intent = shareIntent(this, picture, text)
                ifAlive { start(intent, ::startActivity) }
            } catch (error: IOException) {
                ifAlive { screen.message("the picture cannot be shared: ${error.message}", "Go on", ::goOn) }
            }
        }
    }

    private fun start(intent: Intent, starter: (Intent) -> Unit) {
        try {
            starter(intent)
        } catch (_: ActivityNotFoundException) {
            screen.message("no app on this device can do that", "Go on", ::goOn)
        }
    }

    /** Manifests are files, and files are not for the main thread. */
    private fun withItems(action: (List<ShelfItem>) -> Unit) {
        val shelf = shelf()
        thread(name = "shelf") {
            val items = shelf.items()
            ifAlive { action(items) }
        }
    }

    private fun ifAlive(action: () -> Unit) = runOnUiThread { if (!isDestroyed) action() }

    private companion object {
        const val CAMERA_REQUEST = 1
        const val PHOTO_REQUEST = 2
        const val PHOTO = "photo"
        const val NO_CAMERA = "Without the camera there is no live view. Pictures never leave this device."
    }
}
